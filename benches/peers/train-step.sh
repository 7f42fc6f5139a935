#!/bin/sh
# Two proxies on two cores against PyTorch's arrangements, in alternating
# rounds, in f32 and in bf16: benches/peers/train-step.sh VOCAB STEPS ROUNDS
#
# First: cargo build --release -p regmix-model --example throughput
# PYTHON has torch; THROUGHPUT is the example, if it is elsewhere. PyTorch
# compiles in the first round, outside of what is timed.
set -eu
vocab=${1:-8192} steps=${2:-10} rounds=${3:-3}
here=$(dirname "$0")
python=${PYTHON:-python3}
throughput=${THROUGHPUT:-$here/../../target/release/examples/throughput}
torch() {
    "$python" "$here/torch_step.py" --vocab "$vocab" --steps "$steps" --warm 2 "$@" 2>/dev/null
}
for _ in $(seq "$rounds"); do
    "$throughput" --vocab "$vocab" --steps "$steps" --parallel 2
    "$throughput" --vocab "$vocab" --steps "$steps" --parallel 2 --precision bf16
    torch --mode compile --procs 2 --threads 1
    torch --mode compile --procs 1 --threads 2
    torch --mode compile --procs 2 --threads 1 --precision bf16
    torch --mode compile --procs 1 --threads 2 --precision bf16
    torch --mode eager --procs 2 --threads 1
    torch --mode eager --procs 1 --threads 2
done
