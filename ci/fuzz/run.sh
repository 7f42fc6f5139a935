#!/usr/bin/env bash
# Fuzzes readers of untrusted files with libFuzzer, with the stable toolchain.
#
#   ci/fuzz/run.sh [SECONDS] [TARGET...]     600 seconds and all targets by default
#
# Needs a C++ compiler. New inputs are kept in a temporary folder and, minimized, added
# to ci/fuzz/corpus; inputs that fail are left in ci/fuzz/failed. Prints a line per
# target: executions, seconds, and inputs in the corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(shard jsonl csv study observations online lease metrics)

RUSTC_WORKSPACE_WRAPPER=$PWD/ci/fuzz/instrument.sh \
    cargo build --locked --release --workspace --features regmix-fuzz/libfuzzer --bin fuzz \
    --target-dir "${FUZZ_TARGET_DIR:-target/fuzz}"
fuzz=${FUZZ_TARGET_DIR:-target/fuzz}/release/fuzz

status=0
for target in "${targets[@]}"; do
    corpus=ci/fuzz/corpus/$target
    grown=$(mktemp -d)
    small=$(mktemp -d)
    log=$(mktemp)
    mkdir -p ci/fuzz/failed
    export TARGET=$target
    if ! "$fuzz" "$grown" "$corpus" -max_total_time="$seconds" -max_len=8192 -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="ci/fuzz/failed/$target-" -print_final_stats=1 \
        > "$log" 2>&1; then
        echo "$target: FAILED, see ci/fuzz/failed"
        tail -30 "$log"
        status=1
    fi
    # Inputs with the coverage of all; of these, forty of all sizes are kept as tests.
    "$fuzz" -merge=1 "$small" "$corpus" "$grown" > /dev/null 2>&1 || true
    mapfile -t found < <(find "$small" -type f -size -5k -printf '%s %p\n' | sort -n | cut -d' ' -f2)
    for ((k = 0; k < 40 && ${#found[@]} > 0; k++)); do
        cp "${found[k * ${#found[@]} / 40]}" "$corpus/"
    done
    executions=$(grep -oP 'number_of_executed_units: \K\d+' "$log" || echo unknown)
    edges=$(grep -oP 'cov: \K\d+' "$log" | tail -1 || echo unknown)
    echo "$target: $executions executions in $seconds s, $edges edges, $(find "$corpus" -type f | wc -l) inputs kept"
    rm -rf "$grown" "$small" "$log"
done
rmdir ci/fuzz/failed 2> /dev/null || true
exit "$status"
