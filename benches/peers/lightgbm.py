#!/usr/bin/env python3
"""LightGBM on a table of mixtures and a table of losses: accuracy and time.

Prints JSON. Needs Python 3.9 or later with `pip install lightgbm`.

    python benches/peers/lightgbm.py --mixtures train_mixture_1m.csv \
        --losses train_pile_loss_1m.csv --folds-file folds.json

The settings are those of RegMix (arXiv 2407.01492): LightGBM's defaults with a
learning rate of 0.01 and 1000 rounds, no early stopping. With `--folds-file`
the folds are read, as `cargo run -p regmix-regress --example cross_validate --
... --folds-out FILE` writes them, so that both judge on the same rows.
Spearman's rank correlation is times 100; per target it is taken over the
out-of-fold predictions of all rows.
"""

import argparse
import json
import platform
import re
import sys
import time

# This file bears the package's name: without this it would import itself.
del sys.path[0]

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402


def table(path):
    """Header without the first column, and rows by the first column."""
    with open(path, encoding="utf-8") as file:
        header, *lines = [line.strip().split(",") for line in file if line.strip()]
    return header[1:], {line[0]: [float(x) for x in line[1:]] for line in lines}


def read(mixtures, losses):
    domains, weights = table(mixtures)
    targets, values = table(losses)
    targets = [re.sub(r"^metric/|^the_pile_|_val_loss$", "", t) for t in targets]
    targets = [re.sub(r"^the_pile_", "", t) for t in targets]
    if list(weights) != list(values):
        common = [run for run in weights if run in values]
        weights = {run: weights[run] for run in common}
        values = {run: values[run] for run in common}
    x = np.array(list(weights.values()))
    y = np.array(list(values.values()))
    return domains, targets, x / x.sum(axis=1, keepdims=True), y


def folds(args, rows):
    if args.folds_file:
        with open(args.folds_file, encoding="utf-8") as file:
            repeats = [np.array(r) for r in json.load(file)]
        if any(len(r) != rows for r in repeats):
            sys.exit(f"{args.folds_file}: expected {rows} fold numbers per repeat")
        return repeats
    rng = np.random.default_rng(args.seed)
    return [rng.permutation(rows) % args.folds for _ in range(args.repeats)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixtures", required=True)
    parser.add_argument("--losses", required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folds-file", help="[repeat][row] of fold numbers, JSON")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--min-rows-per-leaf", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score-rows", type=int, default=1_000_000)
    args = parser.parse_args()

    domains, targets, x, y = read(args.mixtures, args.losses)
    settings = {
        "objective": "regression",
        "learning_rate": args.learning_rate,
        "min_data_in_leaf": args.min_rows_per_leaf,
        "num_threads": args.threads,
        "seed": args.seed,
        "verbosity": -1,
    }

    def fit(rows, target):
        data = lightgbm.Dataset(x[rows], label=y[rows, target])
        return lightgbm.train(settings, data, num_boost_round=args.rounds)

    per_target = {name: [] for name in targets}
    means, errors = [], []
    repeats = folds(args, len(x))
    for fold_of in repeats:
        predicted = np.full(y.shape, np.nan)
        for fold in range(fold_of.max() + 1):
            held = fold_of == fold
            for t in range(len(targets)):
                predicted[held, t] = fit(~held, t).predict(x[held])
        rhos = [
            100 * spearmanr(y[:, t], predicted[:, t]).statistic
            for t in range(len(targets))
        ]
        for name, rho in zip(targets, rhos):
            per_target[name].append(rho)
        means.append(float(np.mean(rhos)))
        errors.append(float(np.mean((y - predicted) ** 2)))

    started, cpu = time.perf_counter(), time.process_time()
    everything = np.full(len(x), True)
    models = [fit(everything, t) for t in range(len(targets))]
    fit_seconds, fit_cpu = time.perf_counter() - started, time.process_time() - cpu
    size = sum(len(m.model_to_string()) for m in models)

    score = None
    if args.score_rows > 0:
        flat = np.random.default_rng(args.seed).dirichlet(
            np.ones(len(domains)), args.score_rows
        )
        started, cpu = time.perf_counter(), time.process_time()
        for model in models:
            model.predict(flat, num_threads=args.threads)
        score = {
            "mixtures": args.score_rows,
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu,
        }

    print(
        json.dumps(
            {
                "regressor": "lightgbm",
                "rows": len(x),
                "targets": len(targets),
                "threads": args.threads,
                "rounds": args.rounds,
                "fit": {
                    "seconds": fit_seconds,
                    "cpu_seconds": fit_cpu,
                    "model_bytes": size,
                },
                "cross_validation": {
                    "folds": int(repeats[0].max()) + 1,
                    "repeats": len(repeats),
                    "spearman": {
                        "mean": float(np.mean(means)),
                        "sd": float(np.std(means, ddof=1)) if len(means) > 1 else None,
                        "per_target": {
                            name: float(np.mean(r)) for name, r in per_target.items()
                        },
                    },
                    "mse": float(np.mean(errors)),
                },
                "score": score,
                "versions": {
                    "python": platform.python_version(),
                    "lightgbm": lightgbm.__version__,
                    "numpy": np.__version__,
                    "scipy": scipy.__version__,
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
