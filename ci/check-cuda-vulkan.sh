#!/usr/bin/env bash
# Type-checks and lints the code behind the features `cuda` and `vulkan` without a
# GPU and without a download from github.com.
#
#   ci/check-cuda-vulkan.sh [STAND-IN]
#
# burn's `cuda` builds PTX through LLVM, which a build script downloads. The
# stand-in is a folder with a crate `cubecl-llvm` of the locked version that
# has the same interface without LLVM: given as the argument, or
# $REGMIX_SHARED/tools/stub-llvm, or ../shared/tools/stub-llvm. With it, kernels
# go through NVRTC (feature `cuda-nvrtc`). Without a stand-in only `vulkan` is
# checked.
set -euo pipefail
cd "$(dirname "$0")/.."
stand_in=${1:-${REGMIX_SHARED:-../shared}/tools/stub-llvm}

check=(clippy --release --workspace --lib --bins --tests)

if [ ! -e "$stand_in/Cargo.toml" ]; then
    echo "== vulkan; SKIPPED: cuda, no stand-in for cubecl-llvm in $stand_in"
    cargo "${check[@]}" --locked --features regmix-cli/vulkan -- -D warnings
    exit 0
fi
echo "== cuda and vulkan"
# Otherwise the lock file would name the stand-in afterwards.
kept=$(mktemp)
cp Cargo.lock "$kept"
trap 'cp "$kept" Cargo.lock; rm "$kept"' EXIT
stand_in=$(cd "$stand_in" && pwd)
# Clippy passes on only the arguments after its name.
cargo "${check[@]}" --config "patch.crates-io.cubecl-llvm.path=\"$stand_in\"" \
    --features regmix-cli/cuda-nvrtc,regmix-cli/vulkan -- -D warnings
