#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own and runs its tests, in which
# nothing of Rust is at hand. Argument: the command that the wheel is to hold.
# Beside a workspace that is built it takes five minutes of processor time, of which Clippy
# takes one and a half: a third of the module's dependencies and three crates of ours are
# compiled with fewer features, the others are shared.
set -euo pipefail
cd "$(dirname "$0")/.."
command=$(realpath "${1:-target/release/regmix}")

skip() { echo "SKIPPED: $1" && exit 0; }

command -v python3 > /dev/null || skip "no Python"
environment=$PWD/target/python
python3 -m venv "$environment" > /dev/null 2>&1 || skip "Python has no venv"
"$environment/bin/pip" install --quiet 'maturin>=1.9,<2' pytest numpy pandas polars mypy \
    > /dev/null 2>&1 || skip "maturin, pytest, numpy, pandas, polars and mypy cannot be installed"

ci/python-lock.py
export CARGO_TARGET_DIR=$PWD/target PATH=$environment/bin:$PATH
cargo fmt --manifest-path python/Cargo.toml --check
rm -f target/wheels/regmix-*.whl
REGMIX_COMMAND=$command pip wheel --quiet --no-deps --no-build-isolation --no-cache-dir \
    --wheel-dir target/wheels ./python
ls -sh target/wheels/regmix-*.whl
pip install --quiet --force-reinstall --no-deps target/wheels/regmix-*.whl

# From another folder, so that the installed module is tested and not the sources.
cd "$environment"
shared=${REGMIX_SHARED:-../../shared}
env -i PATH=/usr/bin:/bin HOME="$HOME" REGMIX_SHARED="$(realpath -m "$shared")" \
    "$environment/bin/python" -m pytest -q -p no:cacheprovider ../../python/tests
python -m mypy --strict --no-error-summary ../../python/tests/typed.py
python -m mypy.stubtest regmix --mypy-config-file ../../python/pyproject.toml
cd ../..
cargo clippy --quiet --locked --release --manifest-path python/Cargo.toml -- -D warnings
