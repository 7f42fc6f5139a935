#!/usr/bin/env python3
"""What are the losses of mixed experts worth beside proxies?

    benches/experts.py target/release/regmix STUDY [--held 20] [--draws 8] [--seed 0]
                       [--tables experts]

STUDY is a study with `[fit] experts = true`, up to `regmix fit`: such as that of
`benches/field.sh`, with that line added. In every draw some proxies are held out, and 10, 24,
38, ... of the others are fitted, with and without the losses of the mixed experts. Steps are as
many proxies as there are experts, so that a row with experts costs as much as the next row
without. `--tables` is the folder in STUDY of the approximate losses and their mixtures.

Means over targets, then over draws, with the standard deviation over draws: the mean absolute
error of the losses of held-out proxies, their rank correlation (Spearman; 0 where the fit predicts
the same for all), and the share of the experts' losses that the fit took.
"""
import argparse, csv, json, math, pathlib, random, statistics, subprocess, tempfile

from ranking import spearman


def read(path):
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return head, {row[0]: row[1:] for row in rows}


def write(path, head, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *([run, *row] for run, row in rows)])


def fitted(regmix, folder, runs, held, experts):
    """The error and the rank correlation of a fit on held-out runs, and the share."""
    (weights, mixtures), (targets, losses) = runs
    write(folder / "m.csv", weights, [(run, mixtures[run]) for run in held["fitted"]])
    write(folder / "l.csv", targets, [(run, losses[run]) for run in held["fitted"]])
    write(folder / "h.csv", weights, [(run, mixtures[run]) for run in held["held"]])
    command = [regmix, "-q", "fit", "--mixtures", folder / "m.csv", "--losses", folder / "l.csv"]
    command += ["--out", folder / "fit", "--redo", "--format", "json"]
    if experts:
        command += ["--approximate-mixtures", experts / "mixtures.csv"]
        command += ["--approximate-losses", experts / "losses.csv"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    share = json.loads(out)["approximate"]["share"] if experts else 0
    command = [regmix, "-q", "predict", "--fit", folder / "fit", "--mixtures", folder / "h.csv"]
    subprocess.run([*command, "--means-only", "--out", folder / "p.csv"], check=True)
    head, predicted = read(folder / "p.csv")
    errors, ranks = [], []
    for place, target in enumerate(targets[1:]):
        measured = [float(losses[run][place]) for run in held["held"]]
        expected = [float(predicted[run][head.index(target) - 1]) for run in held["held"]]
        errors.append(statistics.fmean(abs(a - b) for a, b in zip(measured, expected)))
        rank = spearman(measured, expected)
        ranks.append(0.0 if math.isnan(rank) else rank)
    return statistics.fmean(errors), statistics.fmean(ranks), share


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("regmix", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("study", type=pathlib.Path)
    parser.add_argument("--held", type=int, default=20)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", default="experts")
    args = parser.parse_args()
    runs = read(args.study / "fit/mixtures.csv"), read(args.study / "fit/values.csv")
    names = sorted(runs[0][1])
    step = len(runs[0][0]) - 1
    sizes = range(10, len(names) - args.held + 1, step)
    found = {}
    for draw in range(args.draws):
        order = random.Random(f"{args.seed}-{draw}").sample(names, len(names))
        for size in sizes:
            held = {"held": order[: args.held], "fitted": order[args.held :][:size]}
            for experts in [None, args.study / args.tables]:
                with tempfile.TemporaryDirectory() as folder:
                    row = fitted(args.regmix, pathlib.Path(folder), runs, held, experts)
                found.setdefault((size, experts is not None), []).append(row)
    print(f"{len(names)} proxies, {args.held} held out, {args.draws} draws, {step} experts\n")
    print("| proxies | experts | mean abs. error | Spearman | share |\n|---|---|---|---|---|")
    for (size, experts), rows in sorted(found.items()):
        error, rank, share = zip(*rows)
        spread = lambda values: f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
        used = f"{statistics.fmean(share):.2f}" if experts else "-"
        print(f"| {size} | {step if experts else 0} | {spread(error)} | {spread(rank)} | {used} |")


main()
