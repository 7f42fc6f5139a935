#!/usr/bin/env bash
# The time of all methods of `regmix compare` on the demo's corpus, with tiny settings: every model
# is trained for 120 steps, targets with two seeds.
# usage: benches/methods.sh DEMO OUT   (a finished `regmix demo`; REGMIX names another binary)
set -euo pipefail
regmix=$(realpath "${REGMIX:-target/release/regmix}")
cp -r "$1" "$2"
rm -rf "$2"/{design,runs,fit,targets,check.json,mixture*.json,trajectories.csv,report.html}
python3 - "$2" <<'PY'
import csv, json, pathlib, re, sys
study = pathlib.Path(sys.argv[1])
text = (study / "study.toml").read_text()
text = re.sub(r"^steps = \d+", "steps = 120", text, flags=re.M)
text = re.sub(r"^evaluations = \d+", "evaluations = 6", text, flags=re.M)
text = re.sub(r"^eval_sequences = \d+", "eval_sequences = 16", text, flags=re.M)
text = re.sub(r"^(runs = \d+)$", r"\1\nswitching = 0.25", text, count=1, flags=re.M)
methods = """unimax temperature shannon_entropy joint_entropy conditional_entropy von_neumann_entropy utilimax
best_observed regmix dml bimix olmix regmix_d regmix_d_online doremi mixmin climb offline online odm
ado aioli""".split()
names = ", ".join(f'"{name}"' for name in methods)
more = f'\n[compare]\nmethods = [{names}]\nseeds = 2\nutilities = "utilities.csv"\n\n'
more += "[aioli]\nsweeps = 1\nrounds = 1\nwarm_up = 5\n"
(study / "study.toml").write_text(text + more)
domains = json.loads((study / "corpus/manifest.json").read_text())["domains"]
with open(study / "utilities.csv", "w", newline="") as file:
    rows = [[d["name"], i + 1, len(domains) - i] for i, d in enumerate(domains)]
    csv.writer(file).writerows([["domain", "first", "second"], *rows])
PY
for step in design train fit optimize schedule compare; do
    echo "== regmix $step"
    /usr/bin/env time -f "%e s wall, %U s user" "$regmix" -C "$2" -q "$step"
done
