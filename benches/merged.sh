#!/usr/bin/env bash
# Do models whose weights are the mean of experts' weights rank mixtures as trained proxies do?
# Three studies: proxies and experts from the same initial weights; from the same trained model
# (the first proxy of the first study, on the natural mixture), as long and with the same learning
# rate as that; and from it with a quarter of the steps and a fifth of the rate.
# usage: benches/merged.sh CORPUS OUT   (REGMIX and MERGED name other binaries)
# First: cargo build --release --workspace --example merged
set -euo pipefail
corpus=$(realpath "$1")
out=$2
here=$(dirname "$0")
regmix=$(realpath "${REGMIX:-target/release/regmix}")
merged=$(realpath "${MERGED:-target/release/examples/merged}")
for study in scratch continued annealed; do
    mkdir -p "$out/$study"
    changes="s|CORPUS\"|$corpus\"|"
    if [ $study != scratch ]; then changes+='; s|^# FROM|from = "../scratch/runs/run-0001"|'; fi
    if [ $study = annealed ]; then
        changes+='; s|^steps = 400|steps = 100|; s|^lr = 5e-3|lr = 1e-3|; s|^warmup = 40|warmup = 10|'
    fi
    sed "$changes" "$here/studies/merged.toml" > "$out/$study/study.toml"
    for step in tokenize design train fit; do
        echo "== $study: regmix $step"
        /usr/bin/env time -f "%e s wall, %U s user" "$regmix" -C "$out/$study" -q "$step"
    done
    mkdir -p "$out/$study/merged"
    cp "$out/$study/experts/mixtures.csv" "$out/$study/merged/"
    echo "== $study: merged weights"
    "$merged" "$out/$study/corpus" \
        "$out/$study/experts" "$out/$study/merged/mixtures.csv" 32 "$out/$study/merged/losses.csv"
    python3 "$here/merged.py" "$out/$study"
    for tables in experts merged; do
        echo "== $study: a fit with $tables/"
        python3 "$here/experts.py" "$regmix" "$out/$study" --tables $tables
    done
done
