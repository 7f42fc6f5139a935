#!/usr/bin/env python3
"""Measures what `[proxy] match_epochs` does where a target repeats its text.

    benches/match_epochs.py target/release/regmix CORPUS [--epochs 10] [--seeds 3]

CORPUS is a folder of `train/<domain>-<n>.jsonl.zst` and `valid/...`. The beginnings of four
of its domains are the text, equally long; a target takes so many tokens that it sees all of
it `--epochs` times. The weight of one domain goes from 0.1 to 0.9, and the others share the
rest; the loss on that domain is the objective. Each mixture is trained by a target and by
proxies: 4 and 16 times shorter, with the target's width and with a quarter of it, on all text
and on the part that `match_epochs` leaves. The best weight of each is the lowest of the nine;
what it costs is the target's loss there beyond the target's lowest.
"""
import argparse, json, pathlib, statistics, subprocess, tempfile, time

DOMAINS = ["europarl", "github", "gutenberg_en", "wikipedia_en"]
WEIGHTS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
CONTEXT, BATCH = 64, 8
STUDY = """
[study]
seed = {seed}
[corpus]
path = {text}
[tokenizer]
kind = "bytes"
[proxy]
preset = "nano"
layers = 1
d_model = {width}
heads = 2
d_ff = {inner}
context = 64
steps = {steps}
batch_size = 8
lr = 0.004
warmup = 20
evaluations = 1
eval_sequences = 256
checkpoint_every = 0
{match}
[constraints]
target_tokens = {target}
"""


def beginnings(corpus, text, size):
    """The first documents of every domain, cut at `size` bytes; held-out text is whole."""
    for split in ["train", "valid"]:
        (text / split).mkdir(parents=True)
        for domain in DOMAINS:
            files = sorted((corpus / split).glob(f"{domain}-*.jsonl.zst"))
            assert files, f"{corpus}/{split} has no {domain}-*.jsonl.zst"
            lines = []
            for file in files:
                unpacked = subprocess.run(["zstd", "-dc", file], check=True, capture_output=True)
                lines += unpacked.stdout.decode().splitlines()
            left = size if split == "train" else 10**9
            with (text / split / f"{domain}.jsonl").open("w") as out:
                for line in lines:
                    document = json.loads(line)["text"].encode()[:left]
                    document = document.decode(errors="ignore")
                    left -= len(document.encode()) + 1
                    out.write(json.dumps({"text": document}) + "\n")
                    if left < 100:
                        break


def losses(regmix, folder, study):
    """The last losses on the first domain, by weight."""
    folder.mkdir()
    (folder / "study.toml").write_text(study)
    call = lambda *a: subprocess.run([regmix, "-C", folder, *a], check=True, capture_output=True)
    call("tokenize")
    (folder / "design").mkdir()
    rows = [[w] + [(1 - w) / 3] * 3 for w in WEIGHTS]
    table = [f"w{10 * row[0]:.0f}," + ",".join(map(str, row)) for row in rows]
    (folder / "design/mixtures.csv").write_text("\n".join(["run," + ",".join(DOMAINS)] + table))
    call("train")
    names, *rows = (folder / "trajectories.csv").read_text().split()
    column = names.split(",").index(DOMAINS[0])
    last = {row.split(",")[0]: float(row.split(",")[column]) for row in rows}
    return [last[f"w{10 * w:.0f}"] for w in WEIGHTS]


def spearman(a, b):
    rank = lambda values: [sorted(values).index(v) for v in values]
    return statistics.correlation(rank(a), rank(b))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("regmix", type=pathlib.Path)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--bytes", type=int, default=40_000, help="of every domain")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    regmix = args.regmix.resolve()
    step = CONTEXT * BATCH
    steps = round(args.epochs * len(DOMAINS) * args.bytes / step / 16) * 16
    kinds = {"target": (1, 64, "")}
    for shorter, width in [(4, 64), (16, 64), (16, 16)]:
        for text, match in [("all text", ""), ("match_epochs", "match_epochs = true")]:
            kinds[f"1/{shorter} of the tokens, width {width}, {text}"] = (shorter, width, match)
    print(f"{steps * step} tokens a target, {args.bytes} bytes a domain")
    found = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        beginnings(args.corpus, root / "text", args.bytes)
        for seed in range(1, args.seeds + 1):
            for place, (kind, (shorter, width, match)) in enumerate(kinds.items()):
                began = time.monotonic()
                study = STUDY.format(
                    seed=seed,
                    text=json.dumps(str(root / "text")),
                    steps=steps // shorter,
                    width=width,
                    inner=2 * width,
                    match=match,
                    target=steps * step,
                )
                found[kind].append(losses(regmix, root / f"{seed}-{place}", study))
                print(f"seed {seed}, {kind}: {time.monotonic() - began:.0f} s", flush=True)
            show(found)


def show(found):
    """Means over the seeds so far, with standard deviations."""
    spread = lambda x: f"{statistics.mean(x):.3f}" + (
        f" ± {statistics.stdev(x):.3f}" if len(x) > 1 else ""
    )
    print(f"\n| | {' | '.join(map(str, WEIGHTS))} | best weight | costs | rank correlation |")
    print("|---|" + "---|" * (len(WEIGHTS) + 3))
    targets = found["target"]
    for kind, runs in found.items():
        means = [statistics.mean(column) for column in zip(*runs)]
        lowest = [min(range(len(run)), key=run.__getitem__) for run in runs]
        costs = [target[i] - min(target) for i, target in zip(lowest, targets)]
        ranks = [spearman(run, target) for run, target in zip(runs, targets)]
        print(
            f"| {kind} | {' | '.join(f'{x:.3f}' for x in means)} "
            f"| {spread([WEIGHTS[i] for i in lowest])} | {spread(costs)} | {spread(ranks)} |"
        )
    print(flush=True)


if __name__ == "__main__":
    main()
