#!/usr/bin/env python3
"""Compares what laws of scale predict for targets with what targets measured.

usage: benches/sizes.py OUT                  (the study of sizes.sh; REGMIX names another binary)
       benches/sizes.py OUT --new-mixtures   (laws fitted without a third of the mixtures)

Prints relative errors, correlations of ranks and regrets over the mixtures of the check:
the laws' and, for the ranks, those of the regression on proxies. Needs Python 3 only.
"""
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

from ranking import spearman

REGMIX = os.environ.get("REGMIX", "target/release/regmix")
T975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}


def predicted(out, mixtures, extra):
    command = [REGMIX, "-C", out, "predict", "--mixtures", mixtures, *extra]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {row["run"]: {k: float(v) for k, v in row.items() if k != "run"}
            for row in csv.DictReader(text.splitlines())}


def new_mixtures(tables):
    """Three times a third of the mixtures is left out of the tables of all sizes; laws of
    scale and a regression on the smallest size are judged on their runs."""
    def read(name):
        with open(os.path.join(tables, name)) as file:
            return list(csv.DictReader(file))

    mixtures, points, sizes = map(read, ("mixtures.csv", "trajectories.csv", "sizes.csv"))
    size = {row["run"]: float(row["parameters"]) for row in sizes}
    targets = [k for k in points[0] if k not in ("run", "step", "tokens")]
    key = {row["run"]: tuple(round(float(v), 6) for k, v in row.items() if k != "run")
           for row in mixtures}
    fold = {k: i % 3 for i, k in enumerate(sorted(set(key.values())))}
    small, large = min(size.values()), max(size.values())
    last = {}
    for row in points:
        last[row["run"]] = row
    most = {n: max(float(r["tokens"]) for r in last.values() if size[r["run"]] == n)
            for n in (small, large)}
    proxies = [r for r in last if size[r] == small and "/" not in r]
    most[small] = max(float(last[r]["tokens"]) for r in proxies)

    found = {}
    for part in range(3):
        with tempfile.TemporaryDirectory() as folder:
            def put(name, rows):
                path = os.path.join(folder, name)
                with open(path, "w") as file:
                    writer = csv.DictWriter(file, rows[0].keys())
                    writer.writeheader()
                    writer.writerows(rows)
                return path

            def regmix(*args):
                done = subprocess.run([REGMIX, *args], check=True, capture_output=True, text=True)
                return done.stdout

            def kept(rows):
                return [r for r in rows if fold[key[r["run"]]] != part]

            laws, one = os.path.join(folder, "laws"), os.path.join(folder, "one")
            regmix("fit", "--mixtures", put("m.csv", kept(mixtures)), "--trajectories",
                   put("t.csv", kept(points)), "--sizes", put("s.csv", kept(sizes)), "--out", laws)
            ends = [{k: last[r][k] for k in ["run"] + targets} for r in proxies
                    if fold[key[r]] != part]
            names = {row["run"] for row in ends}
            regmix("fit", "--mixtures", put("o.csv", [r for r in mixtures if r["run"] in names]),
                   "--losses", put("l.csv", ends), "--out", one)
            asked = put("q.csv", [r for r in mixtures if fold[key[r["run"]]] == part])

            def predict(*args):
                text = regmix("predict", "--mixtures", asked, *args)
                return {row["run"]: row for row in csv.DictReader(text.splitlines())}

            regression = predict("--fit", one)
            for at in (small, large):
                by_laws = predict("--fit", laws, "--parameters", str(at), "--tokens", str(most[at]))
                for run, row in by_laws.items():
                    end = last[run]
                    if size[run] == at and abs(float(end["tokens"]) / most[at] - 1) < 0.01:
                        for t in targets:
                            found.setdefault((at, t), []).append(
                                (float(end[t]), float(row[t]), float(row[t + "_sd"]),
                                 float(regression[run][t])))
    for at in (small, large):
        rows = [found[(at, t)] for t in targets]
        each = [r for some in rows for r in some]
        print(f"{at:.0f} parameters, {most[at]:.0f} tokens, {len(rows[0])} runs of mixtures that "
              "were left out, mean over losses:")
        for name, column in (("laws of scale", 1), ("regression, smallest size", 3)):
            rank = statistics.fmean(spearman([r[0] for r in some], [r[column] for r in some])
                                    for some in rows)
            error = statistics.fmean(abs(r[column] / r[0] - 1) for r in each)
            print(f"  {name}: relative error {100 * error:.2f} %, Spearman {rank:.4f}")
        inside = statistics.fmean(abs(r[0] - r[1]) <= 1.645 * r[2] for r in each)
        print(f"  in the laws' 90 % intervals {100 * inside:.0f} %")


def main():
    out = sys.argv[1]
    if sys.argv[2:] == ["--new-mixtures"]:
        return new_mixtures(os.path.join(out, "sizes"))
    check = json.load(open(os.path.join(out, "check.json")))
    weights = json.load(open(os.path.join(out, "mixture.json")))["objective"]["weighted"]
    arms = [arm["name"] for arm in check["arms"]]
    losses = {arm: [r for r in check["runs"] if r["arm"] == arm] for arm in arms}
    targets = sorted(check["runs"][0]["loss"])
    # The check's mixtures as a table, in one order of domains.
    domains = targets
    with open(os.path.join(out, "arms.csv"), "w") as file:
        file.write("run," + ",".join(domains) + "\n")
        for arm in check["arms"]:
            mixture = arm["mixture"]
            row = dict(zip(mixture["domains"], mixture["weights"])) if "domains" in mixture else mixture
            file.write(arm["name"] + "," + ",".join(repr(row[d]) for d in domains) + "\n")
    size, tokens = check["target_parameters"], check["target_tokens"]
    laws = predicted(out, os.path.join(out, "arms.csv"), ["--parameters", str(size), "--tokens", str(tokens)])
    proxies = predicted(out, os.path.join(out, "arms.csv"), [])
    mean = {arm: {t: statistics.fmean(r["loss"][t] for r in losses[arm]) for t in targets}
            for arm in arms}

    errors, inside, biases, seed_sd = [], [], [], []
    for t in targets:
        own = []
        for arm in arms:
            guess, sd = laws[arm][t], laws[arm][t + "_sd"]
            errors.append(abs(guess / mean[arm][t] - 1))
            own.append(guess / mean[arm][t] - 1)
            inside += [abs(r["loss"][t] - guess) <= 1.645 * sd for r in losses[arm]]
            if len(losses[arm]) > 1:
                seed_sd.append(statistics.stdev(r["loss"][t] for r in losses[arm]))
        biases.append(statistics.fmean(own))
    print(f"{len(arms)} mixtures, {len(losses[arms[0]])} seeds, {len(targets)} losses, "
          f"{size:,} parameters, {tokens:,} tokens")
    print(f"laws of scale: relative error {100 * statistics.fmean(errors):.2f} %, "
          f"mean bias {100 * statistics.fmean(biases):+.2f} %, "
          f"in 90 % interval {100 * statistics.fmean(inside):.0f} %; "
          f"standard deviation between seeds {statistics.fmean(seed_sd):.4f} nats")
    rows = {"laws at the target": laws, "regression on proxies": proxies}
    for name, guess in rows.items():
        each = [spearman([guess[a][t] for a in arms], [mean[a][t] for a in arms]) for t in targets]
        goal = [sum(w * guess[a][t] for t, w in weights.items()) for a in arms]
        truth = [sum(w * mean[a][t] for t, w in weights.items()) for a in arms]
        best = min(range(len(arms)), key=lambda i: goal[i])
        print(f"{name}: Spearman {statistics.fmean(each):.4f} (mean over losses), "
              f"{spearman(goal, truth):.4f} (objective); picks {arms[best]}, regret "
              f"{truth[best] - min(truth):.4f}")
    print("\nmixture: objective measured (mean, sd), by laws, by the regression for a proxy")
    for arm in arms:
        runs = [r["objective"] for r in losses[arm]]
        sd = statistics.stdev(runs) if len(runs) > 1 else float("nan")
        law = sum(w * laws[arm][t] for t, w in weights.items())
        proxy = sum(w * proxies[arm][t] for t, w in weights.items())
        print(f"  {arm:<14} {statistics.fmean(runs):.4f} {sd:.4f}  {law:.4f}  {proxy:.4f}")
    if "at-target" in arms:
        pairs = [(a["objective"], b["objective"]) for a in losses["found"]
                 for b in losses["at-target"] if a["seed"] == b["seed"]]
        gains = [a - b for a, b in pairs]
        if len(gains) > 1:
            half = T975[len(gains) - 1] * statistics.stdev(gains) / len(gains) ** 0.5
            print(f"\ngain of at-target over found, paired by seed: "
                  f"{statistics.fmean(gains):+.4f} ({statistics.fmean(gains) - half:+.4f} to "
                  f"{statistics.fmean(gains) + half:+.4f})")


main()
