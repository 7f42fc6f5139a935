#!/usr/bin/env python3
"""How well do approximate losses of a study's mixtures agree with the measured ones?

    benches/merged.py STUDY

Approximate are the losses of mixed predictions of experts (STUDY/experts) and of the mean of their
weights (STUDY/merged). For the mixtures that proxies were trained on: the rank correlation with
the losses of the proxies (Spearman; over targets the mean, the least and the greatest, and for the
mean loss), its 95 % interval for the mean loss (10,000 resamples of the mixtures, seed 0), the mean
difference, and the mean absolute error once the mean difference of each target is taken off, beside
the standard deviation of the measured losses.
"""
import csv, pathlib, random, statistics, sys

from ranking import spearman


def read(path):
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return head[1:], {tuple(row[1:]): row[0] for row in rows}, {row[0]: row[1:] for row in rows}


def by_mixture(folder, mixtures, losses):
    """{mixture: losses} in the order of the domains' names."""
    domains, _, weights = read(folder / mixtures)
    targets, _, values = read(folder / losses)
    order, places = sorted(domains), sorted(targets)
    out = {}
    for run, row in weights.items():
        if run not in values:
            continue
        key = tuple(round(float(row[domains.index(d)]), 9) for d in order)
        out[key] = [float(values[run][targets.index(t)]) for t in places]
    return places, out


def main():
    study = pathlib.Path(sys.argv[1])
    targets, measured = by_mixture(study / "fit", "mixtures.csv", "values.csv")
    print("| losses of | mixtures | Spearman | least to greatest | mean loss (95 %) | difference | error without it | sd |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ["experts", "merged"]:
        places, approximate = by_mixture(study / name, "mixtures.csv", "losses.csv")
        assert places == targets, (places, targets)
        keys = [key for key in measured if key in approximate]
        pairs = [([measured[k][t] for k in keys], [approximate[k][t] for k in keys]) for t in range(len(targets))]
        ranks = [spearman(a, b) for a, b in pairs]
        means = [(statistics.fmean(measured[k]), statistics.fmean(approximate[k])) for k in keys]
        rng = random.Random(0)
        drawn = []
        for _ in range(10_000):
            a, b = zip(*rng.choices(means, k=len(means)))
            drawn.append(spearman(a, b))
        drawn.sort()
        shift = [statistics.fmean(b) - statistics.fmean(a) for a, b in pairs]
        errors = [statistics.fmean(abs(y - x - d) for x, y in zip(a, b)) for (a, b), d in zip(pairs, shift)]
        spread = statistics.fmean(statistics.stdev(a) for a, _ in pairs)
        of_mean = spearman(*zip(*means))
        print(
            f"| {name} | {len(keys)} | {statistics.fmean(ranks):.3f} | {min(ranks):.3f} to {max(ranks):.3f} "
            f"| {of_mean:.3f} ({drawn[250]:.3f} to {drawn[9750]:.3f}) | {statistics.fmean(shift):+.3f} "
            f"| {statistics.fmean(errors):.3f} | {spread:.3f} |"
        )


main()
