#!/usr/bin/env bash
# Measures regmix on a GPU in less than six minutes: the losses of the first steps
# against the CPU's, `1m` as the papers train it (vocabulary 50,432, context 2,048)
# over micro-batches in f32 and bf16, several small models at once, a `nano` study
# of 16 proxies from text to mixture, which kernels take the time, and PyTorch at
# its best beside it. A table comes last; everything is logged in $OUT.
#
#   OUT=FOLDER benches/gpu.sh
#
# The programs are those of ci/cuda-binary.sh, which need no toolchain here: the
# driver, and NVRTC with CUDA's headers. The headers are those of CUDA_PATH, else of
# /usr/local/cuda, else of the wheels in Python's folder, the first of these that
# holds include/mma.h, which kernels with matrix units include. The wheels are
# nvidia-cuda-nvrtc, nvidia-cuda-runtime, nvidia-cuda-crt and nvidia-cuda-cccl; those
# of PyTorch depend on some of them only. cuBLAS, which serves products if it is found, is
# that of the toolkit or of the wheel nvidia-cublas.
#
# variable    default                      meaning
# OUT         gpu-results                  folder of the logs
# DEVICE      cuda:0                       the device, as regmix names it; cpu tries the script
# PROGRAMS    target/gpu/programs.tar.xz   `regmix` and `gpu`, or a folder with them
# OTHERS      every other target/gpu/*.tar.xz   builds with other features, for a short sweep each
# PYTHON      python3                      with torch; without it, PyTorch is left out
# SECONDS_IN_ALL  330                      no part begins later
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
out=${OUT:-gpu-results}
device=${DEVICE:-cuda:0}
programs=${PROGRAMS:-$root/target/gpu/programs.tar.xz}
python=${PYTHON:-python3}
total=${SECONDS_IN_ALL:-330}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '== %s (%s s)\n' "$1" "$SECONDS"; }
# The seconds that are left, at most so many.
left() {
    local rest=$((total - SECONDS))
    echo $((rest < $1 ? rest : $1))
}
# Runs a part whose output is logged, unless there is no time for it: NAME MOST COMMAND.
part() {
    local name=$1 most
    most=$(left "$2")
    shift 2
    if [ "$most" -lt 10 ]; then
        say "$name: SKIPPED, no time is left"
        return
    fi
    say "$name"
    timeout --kill-after=5 "$most" "$@" >"$out/$name.log" 2>&1
    local rc=$?
    [ "$rc" = 0 ] || echo "  ended with $rc: $(tail -1 "$out/$name.log")"
}

unpack() {
    if [ -d "$1" ]; then
        cp "$1/gpu" "$1/regmix" "$2"
    else
        tar -xJf "$1" -C "$2"
    fi
}
mkdir "$work/bin"
unpack "$programs" "$work/bin" || {
    echo "no programs in $programs: ci/cuda-binary.sh makes them" >&2
    exit 2
}

# NVRTC and CUDA's headers, as the head of this file says.
if [ "${device%%:*}" = cuda ]; then
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
    find_one() { find -L "$@" -print -quit 2>/dev/null; }
    whole=
    for folder in "${CUDA_PATH:-}" /usr/local/cuda; do
        [ -n "$folder" ] && [ -e "$folder/include/mma.h" ] || continue
        whole=$folder
        break
    done
    if [ -n "$whole" ]; then
        export CUDA_PATH=$whole
        headers=$whole/include
        nvrtc=$(find_one "$whole/lib64" "$whole/lib" -name 'libnvrtc.so*' ! -name '*alt*')
    else
        header=$(find_one "$site/nvidia" -path '*/include/mma.h')
        [ -n "$header" ] || header=$(find_one "$site/nvidia" -path '*/include/cuda_fp16.h')
        headers=${header:+$(dirname "$header")}
        if [ -n "$headers" ]; then
            mkdir -p "$work/cuda"
            ln -s "$headers" "$work/cuda/include"
            export CUDA_PATH=$work/cuda
        fi
        nvrtc=
    fi
    # That of the headers goes first: its version is theirs.
    [ -n "$nvrtc" ] || nvrtc=$(find_one "$site/nvidia" -name 'libnvrtc.so*' ! -name '*alt*')
    if [ -n "$nvrtc" ]; then
        export LD_LIBRARY_PATH=$work/lib:$(dirname "$nvrtc")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        mkdir -p "$work/lib"
        ln -s "$nvrtc" "$work/lib/libnvrtc.so"
    fi
    cublas=$(find_one "${whole:-/none}/lib64" "$site/nvidia" -name 'libcublas.so*')
    if [ -n "$cublas" ]; then
        mkdir -p "$work/lib"
        ln -s "$cublas" "$work/lib/libcublas.so"
        export LD_LIBRARY_PATH=$work/lib:$(dirname "$cublas")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    fi
    missing=
    for header in cuda_fp16.h cuda_bf16.h mma.h crt/mma.h; do
        [ -n "$headers" ] && [ -e "$headers/$header" ] || missing="$missing $header"
    done
    {
        nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm --format=csv,noheader
        echo "NVRTC: ${nvrtc:-not found}; CUDA_PATH: ${CUDA_PATH:-not set}; headers: ${headers:-none}; cuBLAS: ${cublas:-not found}"
        lscpu | grep "Model name"
        [ -z "$missing" ] || echo "MISSING headers:$missing; kernels will not compile: install CUDA's" \
            "toolkit, or the wheels nvidia-cuda-nvrtc, -runtime, -crt and -cccl"
    } | tee "$out/card.log"
fi

# What PyTorch and we measure. The first is trimmed where there is no card.
sweep=(seconds=60 models=1,8,16,32)
rounds=(micro=64,32 precision=bf16 models=32 step=0.5)
peer=(--device cuda --micro 64,32)
if [ "$device" = cpu ]; then
    small=(vocab=512 context=64 models=1,2 step=0.1)
    sweep=(seconds=40 micro=2,1 "${small[@]}")
    rounds=(micro=2,1 precision=bf16 "${small[@]}")
    peer=(--device cpu --vocab 512 --context 64 --micro 2,1 --mode eager --processes 1)
fi
part sweep 100 "$work/bin/gpu" "$device" "${sweep[@]}"
if "$python" -c 'import torch' 2>/dev/null; then
    export PYTHONPATH=$here/peers
    # In turns, since a card's speed changes.
    for round in 1 2 3; do
        part "round-$round" 40 "$work/bin/gpu" "$device" "${rounds[@]}" check=0
        part "torch-round-$round" 60 "$python" "$here/peers/torch_gpu.py" "${peer[@]}" --best
    done
    part torch 90 "$python" "$here/peers/torch_gpu.py" "${peer[@]}" --seconds 60
else
    say "torch: SKIPPED, $python has no torch"
fi

# A study from text to mixture. Python's own library is text that is there.
study() {
    local text=$work/text
    "$python" - "$text" <<'PYTHON'
import pathlib, sys, sysconfig

library, text = pathlib.Path(sysconfig.get_path("stdlib")), pathlib.Path(sys.argv[1])
for name in ["asyncio", "email", "encodings", "idlelib", "multiprocessing", "unittest", "xml"]:
    folder = text / name
    folder.mkdir(parents=True)
    for file in sorted((library / name).rglob("*.py")):
        lines = file.read_text(errors="replace").splitlines(keepends=True)
        # A file is a document: enough of them for a validation split.
        for part in range(0, len(lines), 60):
            name_of_part = "-".join(file.relative_to(library).parts)[:-3] + f"-{part}.txt"
            (folder / name_of_part).write_text("".join(lines[part : part + 60]))
PYTHON
    mkdir -p "$work/study"
    cat >"$work/study/study.toml" <<TOML
[study]
name = "gpu"
seed = 1
[corpus]
path = "$text"
[tokenizer]
kind = "bpe"
vocab_size = 1024
[design]
runs = 16
[proxy]
preset = "nano"
steps = ${STEPS:-240}
batch_size = 16
lr = 4e-3
warmup = 20
[fit]
regressors = ["linear", "law1"]
TOML
    local regmix=("$work/bin/regmix" -C "$work/study") step begun
    for step in tokenize design "train --device $device" fit optimize; do
        begun=${EPOCHREALTIME/[.,]/}
        # Words of the step are arguments.
        # shellcheck disable=SC2086
        "${regmix[@]}" $step || return 1
        begun=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
        printf 'study step=%s seconds=%d.%03d\n' "${step%% *}" $((begun / 1000)) $((begun % 1000))
    done
}
export -f study
export work python device
part study 90 bash -c study

# Which kernels take the time, by NVIDIA's profiler: those of about one step, after the
# first ones, which are compiled.
if [ "$device" != cpu ] && command -v ncu >/dev/null; then
    profile() {
        cd "$work" && ncu --clock-control none --metrics gpu__time_duration.sum --csv \
            --launch-skip 1000 --launch-count 600 \
            ./bin/gpu "$device" check=0 models=0 step=0.01 micro=32 precision=bf16
    }
    export -f profile
    part kernels 60 bash -c profile
else
    say "kernels: SKIPPED, there is no ncu"
fi

# The same sweep, shorter, of builds with other features.
for other in ${OTHERS:-"$root"/target/gpu/*.tar.xz}; do
    [ -e "$other" ] && [ "$other" != "$programs" ] || continue
    name=$(basename "$other" .tar.xz)
    mkdir "$work/$name"
    unpack "$other" "$work/$name"
    part "sweep-$name" 70 "$work/$name/gpu" "$device" check=0 "${sweep[@]}" micro=32 models=1,32
done

say "results"
"$python" "$here/peers/gpu_table.py" "$out" | tee "$out/table.txt"
