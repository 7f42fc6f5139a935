#!/usr/bin/env bash
# Builds the programs that benches/gpu.sh needs on a machine with an NVIDIA card:
# without a card, without CUDA and without LLVM. They need the driver and NVRTC
# there.
#
#   STAND_IN=FOLDER ci/cuda-binary.sh
#
# The result, target/gpu/programs.tar.xz, holds `regmix` and the example `gpu`,
# stripped. STAND_IN is a folder with a crate `cubecl-llvm` of the locked version
# that has the same interface without LLVM, as in ci/check-cuda-vulkan.sh; without
# it the build downloads LLVM. FEATURES adds features, for example
# `burn/autotune,burn/fusion`; NAME is another name of the result.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${NAME:-programs}
# Cargo takes features of workspace members only.
features=regmix-cli/cuda-nvrtc,regmix-model/cuda-nvrtc${FEATURES:+,$FEATURES}
config=()
if [ -n "${STAND_IN:-}" ]; then
    stand_in=$(cd "$STAND_IN" && pwd)
    config=(--config "patch.crates-io.cubecl-llvm.path=\"$stand_in\"")
fi
# Otherwise the lock file would name the stand-in afterwards.
kept=$(mktemp)
cp Cargo.lock "$kept"
trap 'cp "$kept" Cargo.lock; rm "$kept"' EXIT
target=${CARGO_TARGET_DIR:-target}

cargo build --release --workspace "${config[@]}" --features "$features" --bin regmix --example gpu
out=target/gpu
mkdir -p "$out"
folder=$(mktemp -d)
cp "$target/release/regmix" "$target/release/examples/gpu" "$folder"
strip "$folder"/*
tar -C "$folder" -c regmix gpu | xz -T0 -6 >"$out/$name.tar.xz"
rm -r "$folder"
size=$(stat -c %s "$out/$name.tar.xz")
echo "$out/$name.tar.xz: $((size >> 20)) MB"
[ "$size" -lt $((40 << 20)) ] || {
    echo "more than 40 MB: too large to carry" >&2
    exit 1
}
