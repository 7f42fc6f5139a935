#!/usr/bin/env python3
"""What does counting bytes in place of tokens do to laws of scale?

    benches/bytes.py target/release/regmix STUDY [--draws 6]

STUDY has finished proxies with losses along training (`regmix train`). Laws are fitted to two
thirds of the mixtures, by tokens and by bytes (`--bytes-of STUDY/corpus`), and predict the last
losses of the others: the mean absolute error, the rank correlation (Spearman) over mixtures, both
as means over targets and then mean and standard deviation over draws, and the mean absolute
difference between the predictions of both.
"""
import argparse, csv, pathlib, random, statistics, subprocess, tempfile

from ranking import spearman


def read(path):
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def write(path, head, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def predicted(regmix, folder, more, size, tokens):
    command = [regmix, "-q", "fit", "--mixtures", folder / "m.csv", "--trajectories"]
    command += [folder / "t.csv", "--sizes", folder / "s.csv", "--out", folder / "fit", "--redo"]
    subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
    command = [regmix, "-q", "predict", "--fit", folder / "fit", "--mixtures", folder / "h.csv"]
    command += ["--parameters", str(size), "--tokens", str(tokens), "--out", folder / "p.csv", "--redo"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    head, rows = read(folder / "p.csv")
    return {row[0]: dict(zip(head[1:], map(float, row[1:]))) for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("regmix", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("study", type=pathlib.Path)
    parser.add_argument("--draws", type=int, default=6)
    args = parser.parse_args()
    weights, mixtures = read(args.study / "design/mixtures.csv")
    head, points = read(args.study / "trajectories.csv")
    runs = sorted({row[0] for row in points})
    targets = head[3:]
    last = {row[0]: row for row in points}  # Steps rise within a run.
    tokens = int(next(iter(last.values()))[2])
    size = 1e6  # One size: any number serves.
    rows, apart = {"tokens": [], "bytes": []}, []
    for draw in range(args.draws):
        held = set(random.Random(draw).sample(runs, len(runs) // 3))
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            fitted = [run for run in runs if run not in held]
            write(folder / "m.csv", weights, [row for row in mixtures if row[0] in fitted])
            write(folder / "h.csv", weights, [row for row in mixtures if row[0] in held])
            write(folder / "t.csv", head, [row for row in points if row[0] in fitted])
            write(folder / "s.csv", ["run", "parameters"], [[run, size] for run in fitted])
            by = {
                "tokens": predicted(args.regmix, folder, [], size, tokens),
                "bytes": predicted(
                    args.regmix, folder, ["--bytes-of", args.study / "corpus"], size, tokens
                ),
            }
        for unit, values in by.items():
            errors, ranks = [], []
            for place, target in enumerate(targets):
                measured = [float(last[run][3 + place]) for run in sorted(held)]
                expected = [values[run][target] for run in sorted(held)]
                errors.append(statistics.fmean(abs(a - b) for a, b in zip(measured, expected)))
                ranks.append(spearman(measured, expected))
            rows[unit].append((statistics.fmean(errors), statistics.fmean(ranks)))
        apart.append(
            statistics.fmean(
                abs(by["tokens"][run][t] - by["bytes"][run][t]) for run in held for t in targets
            )
        )
    spread = lambda values: f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
    print(f"{len(runs)} mixtures, a third held out, {args.draws} draws\n")
    print("| data counted in | mean abs. error | Spearman |\n|---|---|---|")
    for unit, found in rows.items():
        errors, ranks = zip(*found)
        print(f"| {unit} | {spread(errors)} | {spread(ranks)} |")
    print(f"\nbetween both: {spread(apart)}")


main()
