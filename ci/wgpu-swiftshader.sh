#!/usr/bin/env bash
# Trains on a software renderer: builds with --features wgpu and runs the device
# tests and those of kernels on SwiftShader, Chromium's software implementation of Vulkan.
#
#   ci/wgpu-swiftshader.sh            fetches the driver if it is missing
#   ci/wgpu-swiftshader.sh COMMAND    runs COMMAND with the driver instead of the tests
#
# The driver is looked for in $SWIFTSHADER (a folder), then in
# /usr/lib/chromium; else Debian's package is fetched with apt and unpacked in
# a temporary folder (32 MB; nothing is installed). Without apt or a
# network it prints that it is skipped and succeeds. Chromium's folder also holds
# a Vulkan loader, so that the machine needs none.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: wgpu on a software GPU: $1"
    exit 0
}

complete() { [ -e "$1/libvk_swiftshader.so" ] && [ -e "$1/libvulkan.so.1" ]; }

driver=${SWIFTSHADER:-/usr/lib/chromium}
if ! complete "$driver"; then
    [ "$(uname -s)" = Linux ] || skip "there is no such driver for $(uname -s)"
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        skip "no apt here; unpack Debian's package chromium-common and set SWIFTSHADER"
    fetched=$(mktemp -d)
    trap 'rm -rf "$fetched"' EXIT
    # apt drops its privileges to fetch; the folder must be open to it.
    chmod 755 "$fetched"
    fetch() { (cd "$fetched" && apt-get download -qq chromium-common) >/dev/null 2>&1; }
    fetch || { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 && fetch; } ||
        skip "apt cannot fetch the package chromium-common"
    dpkg-deb --fsys-tarfile "$fetched"/chromium-common_*.deb |
        tar -x -C "$fetched" --wildcards './usr/lib/chromium/libvk*' \
            './usr/lib/chromium/libvulkan*' './usr/lib/chromium/vk*'
    driver=$fetched/usr/lib/chromium
    complete "$driver" || skip "the package chromium-common holds no SwiftShader any more"
fi

export VK_ICD_FILENAMES=$driver/vk_swiftshader_icd.json
export VK_DRIVER_FILES=$VK_ICD_FILENAMES
export LD_LIBRARY_PATH=$driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if [ $# -gt 0 ]; then
    "$@"
    exit
fi
# With --workspace the compilation of the default build is reused; without it half
# of the dependencies would be compiled again with other features.
cargo=(test --locked --release --workspace --features regmix-model/wgpu)
REGMIX_EXPECT_DEVICE=wgpu:0 cargo "${cargo[@]}" --test devices -- --nocapture
# Every kernel and gradient against the processor's.
cargo "${cargo[@]}" --lib every_device_has -- --nocapture
