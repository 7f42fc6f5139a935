#!/usr/bin/env bash
# Schedules compared with single mixtures on real text: with 96 proxies and with 24,
# by the paper's method, by the default, and by the default without its check of
# the gain.
# usage: benches/schedules.sh CORPUS OUT   (REGMIX names another binary)
set -euo pipefail
here=$(dirname "$0")
corpus=$(realpath "$1")
out=$2
regmix=${REGMIX:-target/release/regmix}
steps() { for step in "${@:2}"; do "$regmix" -C "$out/$1" "$step"; done; }

# A study with this number of proxies, without targets.
study() {
    mkdir -p "$out/$1"
    if [ ! -e "$out/$1/study.toml" ]; then
        sed "s|CORPUS\"|$corpus\"|; s|^runs = .*|runs = $2|" "$here/studies/schedules.toml" > "$out/$1/study.toml"
    fi
    steps "$1" tokenize design train fit optimize schedule
}

# The same proxies with other settings in [dynamic].
variant() {
    rm -rf "${out:?}/$2"
    mkdir "$out/$2"
    cp -r "$out/$1"/{corpus,design,runs,fit,mixture.json,mixture.inputs.json} "$out/$2"
    sed "s|^preset = \"improved\"|$3|" "$out/$1/study.toml" > "$out/$2/study.toml"
    steps "$2" schedule
}

study all 96
study few 24
for n in all few; do
    variant $n $n-unchecked 'preset = "improved"\nbootstrap = 0\nstatic_unless = 0'
    variant $n $n-paper 'preset = "paper"'
done
{
    echo
    echo "[check.others]"
    echo "few_found = \"../few/mixture.json\""
    for n in few few-unchecked few-paper all-unchecked all-paper; do
        echo "${n}_offline = \"../$n/schedule.json\""
        echo "${n}_online = \"../$n/controller.json\""
    done
} > "$out/others.toml"
grep -q '^\[check.others\]' "$out/all/study.toml" || cat "$out/others.toml" >> "$out/all/study.toml"
steps all target report
