#!/usr/bin/env bash
# Attention's CUDA kernels on an emulated card: no GPU, no CUDA.
#
#   ci/attention.sh
#
# The sources in crates/regmix-model/src/graph/kernels/cuda/attention are compiled for the CPU, all
# but primitives.cu, in whose place ci/attention/primitives.h stands. Every thread of a CTA
# runs on its own stack; outputs and gradients are compared with a reference in double
# precision, for several shapes. What it cannot show: whether ci/attention understands the
# manual of PTX as the card does, and the time that kernels take.
#
# Takes $CXX, else c++. Without a compiler, or without ucontext.h and the linker of Linux,
# it prints that it is skipped and succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."
kernels=crates/regmix-model/src/graph/kernels/cuda/attention
cxx=${CXX:-c++}

skip() {
    echo "SKIPPED: attention's kernels on an emulated card: $1"
    exit 0
}
[ "$(uname -s)" = Linux ] || skip "it is written for Linux"
command -v "$cxx" >/dev/null || skip "there is no C++ compiler ($cxx)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo '#include <ucontext.h>
int main() { ucontext_t context; return getcontext(&context); }' >"$dir/probe.cpp"
"$cxx" "$dir/probe.cpp" -o "$dir/probe" 2>/dev/null || skip "$cxx has no ucontext.h"

# Kernels read pairs of bf16 as one word, and _FORTIFY_SOURCE forbids jumps between stacks.
flags=(-std=c++17 -O2 -fno-strict-aliasing -U_FORTIFY_SOURCE -Wall -Wno-unknown-pragmas)
for dim in 32 64 128; do
    "$cxx" "${flags[@]}" -DHEAD_DIM=$dim -I "$kernels" ci/attention/main.cpp -o "$dir/check-$dim"
    # Seconds if kernels are right; a wrong one may never end.
    timeout 300 "$dir/check-$dim" || {
        echo "FAILED: attention's kernels for head dimension $dim (exit code $?)" >&2
        exit 1
    }
done
