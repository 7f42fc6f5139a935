#!/usr/bin/env bash
# Prepares libtorch 2.9.0 for the feature `tch`, builds with it and runs the
# device tests there.
#
#   ci/tch.sh FOLDER              prepare (once), build, test
#   ci/tch.sh FOLDER prepare      only prepare; then print the variables to set
#
# The crate `tch` 0.22 needs libtorch 2.9.0 exactly. PyPI's wheel of torch 2.9.0
# contains it. The CUDA libraries of the wheel are left out, so this is libtorch for
# CPUs: 487 MB of about 900 MB fetched are kept. For
# `tch:N` on a GPU, set LIBTORCH to a complete CUDA build of libtorch 2.9.0 instead.
# Needs Linux on x86-64, python3 with pip, gcc and g++.
set -euo pipefail
[ $# -ge 1 ] || {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

libraries=$folder/torch/lib
if [ ! -e "$folder/ready" ]; then
    wheels=$folder/wheels
    mkdir -p "$wheels"
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" \
        --python-version 3.12 --implementation cp --abi cp312 --platform manylinux_2_28_x86_64 \
        torch==2.9.0
    # libtorch_cpu.so names these two among the libraries it needs.
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$wheels" \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
        --platform manylinux_2_5_x86_64 --platform manylinux_2_17_x86_64 \
        nvidia-cuda-runtime-cu12==12.8.90 nvidia-cuda-cupti-cu12==12.8.90
    python3 - "$wheels" "$folder" <<'PYTHON'
import pathlib, shutil, sys, zipfile

wheels, folder = map(pathlib.Path, sys.argv[1:])
keep = {"libtorch_cpu.so", "libc10.so", "libcudart.so.12", "libcupti.so.12"}
lib = folder / "torch/lib"
lib.mkdir(parents=True, exist_ok=True)
for wheel in wheels.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            file = pathlib.PurePosixPath(name)
            if file.name in keep or file.name.startswith("libgomp"):
                with archive.open(name) as source, open(lib / file.name, "wb") as target:
                    shutil.copyfileobj(source, target)
            elif name.startswith("torch/include/"):
                archive.extract(name, folder)
PYTHON
    # The wheel's libtorch.so needs the CUDA part; this one does not.
    gcc -shared -o "$libraries/libtorch.so" -Wl,-soname,libtorch.so -Wl,--no-as-needed \
        -L"$libraries" -Wl,-rpath-link,"$libraries" -ltorch_cpu -lc10
    rm -r "$wheels"
    touch "$folder/ready"
fi

export LIBTORCH=$folder/torch
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if [ "${2:-}" = prepare ]; then
    echo "export LIBTORCH=$LIBTORCH"
    echo "export LD_LIBRARY_PATH=$libraries"
    exit
fi
REGMIX_EXPECT_DEVICE=tch cargo test --locked --release --workspace \
    --features regmix-model/tch --test devices -- --nocapture
