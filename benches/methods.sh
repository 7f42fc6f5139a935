#!/usr/bin/env bash
# The time of all methods of `regmix compare` on the demo's corpus, with tiny settings: two seeds,
# targets and models of the methods of 100 steps.
# usage: benches/methods.sh DEMO OUT   (a finished `regmix demo`; REGMIX names another binary)
set -euo pipefail
regmix=$(realpath "${REGMIX:-target/release/regmix}")
cp -r "$1" "$2"
rm -rf "$2"/{targets,check.json,report.html}
python3 - "$2" <<'PY'
import csv, pathlib, re, sys
study = pathlib.Path(sys.argv[1])
text = (study / "study.toml").read_text()
head, tail = re.split(r"^\[target\]\n", text, maxsplit=1, flags=re.M)
tail = re.sub(r"^steps = \d+", "steps = 100", tail, count=1, flags=re.M)
methods = """unimax temperature shannon_entropy joint_entropy conditional_entropy von_neumann_entropy utilimax
best_observed regmix dml bimix olmix regmix_d regmix_d_online doremi mixmin climb offline online odm
ado aioli""".split()
names = ", ".join(f'"{name}"' for name in methods)
more = f'\n[compare]\nmethods = [{names}]\nseeds = 2\nutilities = "utilities.csv"\n\n'
more += "[doremi]\nsteps = 100\n\n[aioli]\nsweeps = 1\nrounds = 1\nwarm_up = 5\n"
(study / "study.toml").write_text(head + "[target]\n" + tail + more)
domains = next(csv.reader((study / "design/mixtures.csv").open()))[1:]
with open(study / "utilities.csv", "w", newline="") as file:
    rows = [[domain, i + 1, len(domains) - i] for i, domain in enumerate(domains)]
    csv.writer(file).writerows([["domain", "first", "second"], *rows])
PY
for step in fit optimize schedule; do "$regmix" -C "$2" -q "$step" --redo > /dev/null; done
/usr/bin/env time -f "%e s wall, %U s user" "$regmix" -C "$2" -q compare
