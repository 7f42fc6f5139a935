#!/usr/bin/env bash
# Laws of scale on real text: fitted to smaller and shorter runs, judged on targets.
# usage: benches/sizes.sh CORPUS OUT   (REGMIX names another binary)
set -euo pipefail
corpus=$(realpath "$1")
out=$2
regmix=${REGMIX:-target/release/regmix}
mkdir -p "$out"
sed "s|CORPUS\"|$corpus\"|" "$(dirname "$0")/studies/sizes.toml" > "$out/study.toml"
run() {
    echo "== regmix $*"
    /usr/bin/env time -f "%e s wall, %U s user, %M kB" "$regmix" -C "$out" "$@"
}
for step in tokenize design train fit scale optimize; do run "$step"; done
run optimize --at-target --out "$out/at-target.json"
for step in target report status; do run "$step"; done
python3 "$(dirname "$0")/sizes.py" "$out"
