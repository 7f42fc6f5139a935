#!/usr/bin/env bash
# The public interfaces of the library crates, compared with the listings in
# ci/api/listing: a change that is not in them fails.
#
#   ci/api.sh             compares
#   ci/api.sh --accept    writes the listings anew; review them with git diff
#
# Run after `cargo docs`, it compiles nothing of the workspace. Not listed: what feature
# `hub` of regmix-data adds, which would need its dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never
listing=ci/api/listing
crates=(regmix-data regmix-regress regmix-dynamic regmix-model regmix-study)

case ${1:-} in
    "" | --accept) ;;
    *)
        echo "expected --accept or nothing, found: $1" >&2
        exit 2
        ;;
esac

RUSTDOC=$PWD/ci/api-rustdoc.sh RUSTDOCFLAGS="-Z unstable-options --output-format json" \
    cargo doc --quiet --locked --release --workspace --no-deps --lib --target-dir target
cargo build --quiet --locked --manifest-path ci/api/Cargo.toml --target-dir target/api

changed=0
for crate in "${crates[@]}"; do
    new=$(mktemp)
    target/api/debug/regmix-api "target/doc/${crate//-/_}.json" > "$new"
    if [ "${1:-}" = --accept ]; then
        cp "$new" "$listing/$crate.txt"
    elif ! diff --unified=0 --label "$listing/$crate.txt" --label "$crate now" "$listing/$crate.txt" "$new"; then
        changed=1
    fi
    rm "$new"
done
if [ "$changed" = 1 ]; then
    cat >&2 << 'END'

The public interface changed, as shown above. If that is meant: `ci/api.sh --accept`, review
the listings with `git diff ci/api`, and commit them with the change; lines that go or change
belong into CHANGELOG.md.
END
    exit 1
fi
