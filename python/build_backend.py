"""Builds the wheel for pip: the module with maturin, and the command beside it.

maturin makes wheels of programs or of modules, not of both. The module is its own; the
command goes into the wheel's scripts (`data` in pyproject.toml), from where pip installs it.
It is built in `target`, unless the environment variable REGMIX_COMMAND names one that is
there already.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path

import maturin
from maturin import get_requires_for_build_wheel

__all__ = ["build_sdist", "build_wheel", "get_requires_for_build_wheel"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


class UnsupportedOperation(Exception):
    """As PEP 517 has it."""


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    # One folder of compiled crates serves the command and the module.
    target = Path(os.environ.setdefault("CARGO_TARGET_DIR", str(ROOT / "target")))
    command = Path(os.environ.get("REGMIX_COMMAND") or _build_command(target))
    data = HERE / "regmix.data"
    shutil.rmtree(data, ignore_errors=True)
    (data / "scripts").mkdir(parents=True)
    try:
        shutil.copy2(command, data / "scripts" / ("regmix" + command.suffix))
        os.environ.setdefault("MATURIN_PEP517_ARGS", _compatibility(command))
        return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def build_sdist(sdist_directory, config_settings=None):
    raise UnsupportedOperation("there is no source distribution: build a wheel from a checkout")


def _build_command(target):
    # With all members, so that features of dependencies are those of other builds.
    arguments = ["cargo", "build", "--locked", "--release", "--workspace", "--bin", "regmix"]
    subprocess.run(arguments, cwd=ROOT, check=True)
    return target / "release" / ("regmix.exe" if os.name == "nt" else "regmix")


def _compatibility(command):
    """The wheel claims the glibc that the command needs: maturin looks at the module only."""
    versions = re.findall(rb"GLIBC_2\.(\d+)", command.read_bytes())
    return f"--compatibility manylinux_2_{max(map(int, versions))}" if versions else ""
