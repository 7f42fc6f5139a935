#!/usr/bin/env bash
# Two workers with a thread each against one worker with two threads, on the same
# study, alternating: seconds of every run, and the ratio of throughputs.
#
#   benches/workers.sh [ROUNDS]
#
# Needs target/release/regmix.
set -euo pipefail
regmix=$(cd "$(dirname "$0")/.." && pwd)/target/release/regmix
rounds=${1:-3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/study/text/train"
cd "$folder/study"
for domain in web code law; do
    awk -v d="$domain" 'BEGIN { srand(7); for (i = 0; i < 4000; i++) { t = i;
        for (k = 0; k < 60; k++) t = t " " d int(rand() * 400);
        print "{\"text\":\"" t "\"}" } }' > "text/train/$domain-0.jsonl"
done
cat > study.toml <<'TOML'
[study]
name = "workers"
seed = 3
[corpus]
path = "text"
layout = "files"
[tokenizer]
kind = "bpe"
vocab_size = 2048
[design]
runs = 8
[proxy]
preset = "nano"
lr = 3e-3
context = 64
batch_size = 16
steps = 300
warmup = 10
evaluations = 3
eval_sequences = 32
TOML
"$regmix" -q tokenize
"$regmix" -q design
seconds() { # COMMAND...: its wall-clock time on a copy without runs
    rm -rf runs trajectories.csv
    local began=$EPOCHREALTIME
    "$@" > /dev/null 2>&1
    echo "$began $EPOCHREALTIME" | awk '{ printf "%.2f", $2 - $1 }'
}
one() { "$regmix" train --parallel 2; }
two() {
    "$regmix" train --parallel 1 &
    "$regmix" train --parallel 1
    wait
}
one > /dev/null 2>&1 # warms the caches
for ((round = 1; round <= rounds; round++)); do
    a=$(seconds one)
    b=$(seconds two)
    echo "$a $b" | awk -v r="$round" '{ printf "round %d: one worker %.2f s, two workers %.2f s, ratio of throughputs %.3f\n", r, $1, $2, $1 / $2 }'
done
