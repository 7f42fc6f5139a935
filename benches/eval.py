#!/usr/bin/env python3
"""How well does the loss of small models predict their accuracy?

    benches/eval.py target/release/regmix CORPUS OUT [--runs 64] [--steps 1000] [--questions 500]

CORPUS is a folder of `train/<domain>-<n>.jsonl.zst` and `valid/...`. Proxies are trained on
mixtures of all domains, and asked which of four continuations follows in held-out text
(`[eval]`); then they are asked as many other questions, drawn with another seed. What is done
already in OUT is not done again.

Rank correlations (Spearman) over proxies of the loss and the accuracy on all domains, and on
each, with the sign turned so that 1 is perfect; intervals are percentiles of 10,000 resamples
of the proxies. Beside them the noise of the accuracy: its binomial standard error, the
standard deviation over proxies, and two figures for the largest correlation that a perfect
predictor could have, `sqrt(reliability)`: by the binomial error, `1 - error^2 / variance`, and by
the correlation of the accuracies on the two sets of questions (Spearman-Brown for both
together). The first is too small where proxies err on the same questions, since all answer the
same ones.
"""
import argparse, json, math, pathlib, random, statistics, subprocess, time
from concurrent.futures import ThreadPoolExecutor

from ranking import pearson, spearman

SEEDS = [42, 43]


def interval(x, y, resamples=10_000):
    """The 2.5th and the 97.5th percentile over resamples of the pairs."""
    draw = random.Random(0)
    n = len(x)
    found = []
    for _ in range(resamples):
        rows = [draw.randrange(n) for _ in range(n)]
        rho = spearman([x[i] for i in rows], [y[i] for i in rows])
        if not math.isnan(rho):
            found.append(rho)
    found.sort()
    return found[int(0.025 * len(found))], found[int(0.975 * len(found)) - 1]


def ceilings(first, second, error):
    """Largest correlations with the mean of two accuracies: by its binomial standard error,
    and by how the two correlate."""
    both = [(a + b) / 2 for a, b in zip(first, second)]
    variance = statistics.variance(both)
    binomial = math.sqrt(max(0.0, 1 - error**2 / variance))
    r = max(0.0, pearson(first, second))
    return binomial, math.sqrt(2 * r / (1 + r))


def other_questions(regmix, out, run, seed, args):
    """The scores of a proxy on other questions than those of the study."""
    kept = out / f"questions-{seed}" / f"{run}.json"
    if not kept.exists():
        command = [regmix, "-C", out, "eval", f"runs/{run}", "--format", "json", "--seed", str(seed)]
        command += ["--questions", str(args.questions), "--context", "48", "--continuation", "16"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)
    return json.loads(kept.read_text())[0]["scores"]


def own_questions(out, run):
    scores = json.loads((out / "runs" / run / "eval" / "scores.json").read_text())["asked"]
    (only,) = scores.values()
    return only["scores"]


def accuracies(scores):
    return {s["task"].removeprefix("held_out/"): s["acc"] for s in scores}


def row(name, losses, first, second, errors):
    both = [(a + b) / 2 for a, b in zip(first, second)]
    # The mean of two independent sets.
    error = math.sqrt(statistics.fmean([e * e for e in errors]) / 2)
    turned = [-loss for loss in losses]
    rho, (low, high) = spearman(turned, both), interval(turned, both)
    binomial, retest = ceilings(first, second, error)
    numbers = [f"{rho:.2f}", f"{low:.2f} to {high:.2f}", f"{statistics.fmean(both):.3f}"]
    numbers += [f"{min(both):.3f} to {max(both):.3f}", f"{statistics.stdev(both):.4f}"]
    numbers += [f"{error:.4f}", f"{binomial:.2f}", f"{retest:.2f}"]
    print("| " + " | ".join([name, *numbers]) + " |")
    return rho


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("regmix")
    parser.add_argument("corpus")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--parallel", type=int, default=2)
    args = parser.parse_args()
    regmix = str(pathlib.Path(args.regmix).resolve())
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    text = (pathlib.Path(__file__).parent / "studies" / "eval.toml").read_text()
    for word, value in [("RUNS", args.runs), ("STEPS", args.steps), ("QUESTIONS", args.questions)]:
        text = text.replace(f"= {word}\n", f"= {value}\n")
    corpus = json.dumps(str(pathlib.Path(args.corpus).resolve()))
    text = text.replace('"CORPUS"', corpus)
    (out / "study.toml").write_text(text)
    began = time.time()
    for step in [["tokenize"], ["design"], ["train", "--parallel", str(args.parallel)]]:
        subprocess.run([regmix, "-C", out, *step], check=True, stdout=subprocess.DEVNULL)
    runs = sorted(path.parent.name for path in (out / "runs").glob("*/DONE"))
    with ThreadPoolExecutor(args.parallel) as pool:
        second = list(pool.map(lambda run: other_questions(regmix, out, run, SEEDS[1], args), runs))
    seconds = time.time() - began
    first = [accuracies(own_questions(out, run)) for run in runs]
    second = [accuracies(scores) for scores in second]
    losses = [json.loads((out / "runs" / run / "DONE").read_text())["loss"] for run in runs]
    domains = sorted(losses[0])
    print(
        f"{len(runs)} proxies of {args.steps} steps, 2 x {args.questions} questions of each of "
        f"{len(domains)} domains, {seconds:.0f} s (what was there already is not counted)\n"
    )
    print("| | Spearman | 95% | accuracy | range | sd of proxies | binomial error | ceiling, binomial | ceiling, other questions |")
    print("|---|---|---|---|---|---|---|---|---|")
    one = lambda of, name: [scores[name]["value"] for scores in of]
    error = lambda name: [scores[name]["stderr"] for scores in first + second]
    mean_loss = [statistics.fmean(loss.values()) for loss in losses]
    row("mean", mean_loss, one(first, "held_out"), one(second, "held_out"), error("held_out"))
    found = []
    for d in domains:
        own = [loss[d] for loss in losses]
        found.append(row(d, own, one(first, d), one(second, d), error(d)))
    print(f"\nmean over domains {statistics.fmean(found):.2f}, median {statistics.median(found):.2f}")
    (out / "losses-and-accuracies.json").write_text(
        json.dumps({"runs": runs, "losses": losses, "first": first, "second": second})
    )


if __name__ == "__main__":
    main()
