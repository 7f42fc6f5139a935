#!/usr/bin/env bash
# Methods compared on real text. Proxies and targets that are the same for both objectives
# are shared if OUT of the second is a copy of that of the first, without its check and
# comparison.
# usage: benches/field.sh CORPUS OUT technical|mean   (REGMIX names another binary)
set -euo pipefail
corpus=$(realpath "$1")
out=$2
objective=$3
regmix=${REGMIX:-target/release/regmix}
mkdir -p "$out"
sed "s|CORPUS\"|$corpus\"|" "$(dirname "$0")/studies/field.toml" > "$out/study.toml"
case $objective in
technical) ;;
mean)
    python3 - "$out/study.toml" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
text = re.sub(r"\[objective\.weights\].*?\n\n", '[objective]\nloss = "mean"\n\n', text, flags=re.S)
text = re.sub(r"\[constraints\].*?\n\n", "[constraints]\nmax_epochs = 4.0\n\n", text, flags=re.S)
open(sys.argv[1], "w").write(text)
PY
    ;;
*)
    echo "field.sh: $objective: expected technical or mean" >&2
    exit 2
    ;;
esac
for step in tokenize design train fit optimize compare report; do
    echo "== regmix $step"
    /usr/bin/env time -f "%e s wall, %U s user, %M kB" "$regmix" -C "$out" "$step"
done
