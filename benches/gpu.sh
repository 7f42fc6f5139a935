#!/usr/bin/env bash
# Measures the `1m` preset as the papers train it (RegMix, arXiv 2407.01492:
# vocabulary 50,432, context 2,048, 512 sequences a step by accumulation) on a
# GPU: the losses of the first steps compared with the engine for CPUs, then
# tokens per second and memory beside PyTorch, in alternating rounds.
#
#   THROUGHPUT=./throughput PYTHON=python3 benches/gpu.sh
#
# Copy one file to the machine besides benches/: the example `throughput` of a
# build with the feature. The machine needs no toolchain:
#   cargo build --release --workspace --features regmix-model/cuda --example throughput
# PYTHON needs torch with CUDA; without it, PyTorch is skipped with a message.
#
# variable    default     meaning
# DEVICE      cuda:0      the device, as regmix names it
# MICRO       8           sequences at once: about 5 GB of memory each
# BATCH       512         sequences a step
# CONTEXT     2048        tokens of a sequence
# VOCAB       50432       token ids
# STEPS       3           timed steps of a round
# ROUNDS      3           rounds
# CHECK       2           sequences per step of the comparison of losses
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
throughput=${THROUGHPUT:-$here/../target/release/examples/throughput}
python=${PYTHON:-python3}
device=${DEVICE:-cuda:0} micro=${MICRO:-8} batch=${BATCH:-512} context=${CONTEXT:-2048}
vocab=${VOCAB:-50432} steps=${STEPS:-3} rounds=${ROUNDS:-3} check=${CHECK:-2}
shape=(--layers 2 --d 256 --heads 8 --kv 8 --ff 512 --ctx "$context" --vocab "$vocab")
gpu=1
case $device in cpu | tch) gpu=0 ;; esac

[ -x "$throughput" ] || {
    echo "no $throughput: build it as the head of this script says, or set THROUGHPUT" >&2
    exit 2
}
if [ "$gpu" = 1 ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
fi

# Runs a command; on a GPU, adds the largest memory that was in use.
watched() {
    if [ "$gpu" = 0 ] || ! command -v nvidia-smi >/dev/null; then
        "$@"
        return
    fi
    local log pid
    log=$(mktemp)
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits --loop-ms=200 >"$log" &
    pid=$!
    "$@" || { kill "$pid"; rm "$log"; return 1; }
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null || true
    echo "  card_mb_used=$(sort -n "$log" | tail -1)"
    rm "$log"
}

echo "== losses of the first steps, $check x $context tokens"
losses() {
    "$throughput" "${shape[@]}" --batch "$check" --micro 1 --warm 0 --steps 3 --losses 3 "$@" |
        sed -n 's/^loss step=\([0-9]*\) nats=/\1 /p'
}
precisions=(f32)
[ "$gpu" = 1 ] && precisions+=(bf16)
expected=$(losses --device cpu)
for precision in "${precisions[@]}"; do
    found=$(losses --device "$device" --precision "$precision") || continue
    paste -d' ' <(echo "$expected") <(echo "$found") | awk -v what="$device $precision" '
        { gap = $4 - $2; if (gap < 0) gap = -gap; if (gap > worst) worst = gap
          printf "  step %d: cpu %s, %s %s\n", $1, $2, what, $4 }
        END { printf "  largest gap %.6f nats: %s\n", worst, worst < 0.02 ? "close" : "FAR" }'
done

torch=1
"$python" -c 'import torch, sys; sys.exit(sys.argv[1] == "1" and not torch.cuda.is_available())' \
    "$gpu" 2>/dev/null || torch=0
[ "$torch" = 1 ] || echo "== no PyTorch for this device: regmix alone"
peer=cpu
[ "$gpu" = 1 ] && peer=cuda
for round in $(seq "$rounds"); do
    echo "== round $round"
    for precision in "${precisions[@]}"; do
        watched "$throughput" "${shape[@]}" --batch "$batch" --micro "$micro" --warm 1 \
            --steps "$steps" --device "$device" --precision "$precision" || true
        if [ "$torch" = 1 ]; then
            watched "$python" "$here/peers/torch_step.py" "${shape[@]}" --batch "$batch" \
                --micro "$micro" --warm 2 --steps "$steps" --device "$peer" \
                --precision "$precision" --mode compile || true
        fi
    done
done
