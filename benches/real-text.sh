#!/usr/bin/env bash
# A whole study on a corpus of real text, as a user would run it.
# usage: benches/real-text.sh CORPUS OUT   (REGMIX names another binary)
set -euo pipefail
corpus=$(realpath "$1")
out=$2
regmix=${REGMIX:-target/release/regmix}
mkdir -p "$out"
sed "s|CORPUS\"|$corpus\"|" "$(dirname "$0")/studies/real-text.toml" > "$out/study.toml"
for step in tokenize design train fit optimize target report status; do
    echo "== regmix $step"
    /usr/bin/env time -f "%e s wall, %U s user, %M kB" "$regmix" -C "$out" "$step"
done
