#!/usr/bin/env bash
# A Python environment with torch for CPUs and transformers, for ci/models.py.
#
#   ci/torch-cpu.sh FOLDER            make it (once)
#   ci/torch-cpu.sh FOLDER lm-eval    with lm-evaluation-harness, too
#
# PyPI's torch for Linux on x86-64 needs three gigabytes of CUDA libraries only to be
# imported. Here empty libraries stand in for those that nothing calls without a GPU, and
# symbols are looked up when they are called. About 900 MB are fetched, 2.2 GB are kept.
# Needs python3 with venv, gcc and readelf.
set -euo pipefail
[ $# -ge 1 ] || {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
pip=$folder/bin/pip

if [ ! -e "$folder/ready" ]; then
    python3 -m venv "$folder"
    # The runtime itself says that there is no GPU; the other one has symbols that are
    # looked up at once.
    "$pip" install --quiet --no-deps torch==2.9.0 nvidia-cuda-runtime-cu12==12.8.90 \
        nvidia-cuda-cupti-cu12==12.8.90
    # What torch needs on a CPU, without the packages of CUDA.
    "$pip" install --quiet filelock fsspec jinja2 networkx sympy typing-extensions
    "$folder/bin/python" - <<'PYTHON'
import os, pathlib, re, subprocess, sysconfig

site = pathlib.Path(sysconfig.get_paths()["purelib"])
libs = site / "torch/lib"
(site / "sitecustomize.py").write_text("import os, sys\n\nsys.setdlopenflags(os.RTLD_LAZY)\n")


def stand_in(name, text=""):
    subprocess.run(
        ["gcc", "-shared", "-x", "c", "-", "-o", str(libs / name), f"-Wl,-soname,{name}"],
        input=text, text=True, check=True,
    )


# Symbols of this one are in tables, which are filled when it is loaded.
stand_in("libtorch_nvshmem.so", """
int _ZN4c10d17nvshmem_extension20is_nvshmem_availableEv(void) { return 0; }
int _ZN4c10d17nvshmem_extension22nvshmemx_cumodule_initEm(void) { return 0; }
""")
have = {path.name for path in site.rglob("*.so*")}
have |= set(subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout.split())
for library in [*libs.glob("*.so*"), *(site / "torch").glob("_C*.so")]:
    read = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True)
    for name in re.findall(r"NEEDED.*\[(.*?)\]", read.stdout):
        if name not in have:
            stand_in(name)
            have.add(name)
PYTHON
    "$folder/bin/python" -c "import torch; assert not torch.cuda.is_available()"
    "$pip" install --quiet numpy transformers safetensors
    touch "$folder/ready"
fi
if [ "${2:-}" = lm-eval ] && [ ! -e "$folder/lm-eval" ]; then
    "$pip" install --quiet lm-eval
    "$pip" install --quiet --no-deps accelerate peft psutil
    touch "$folder/lm-eval"
fi
