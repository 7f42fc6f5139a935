#!/usr/bin/env python3
"""Compares the event files of runs, as TensorBoard's own reader has them, with their
metrics.jsonl.

    ci/tensorboard.py target/release/regmix

A small study is made in a temporary folder with `[logs] tensorboard = true`. Its training
is killed in the middle, while readers have the event files open, and continued. Then every
run must have the same values at the same steps in both files, each step once: for a reader
that opens the files now, and for one that was open all the time. Needs the package
`tensorboard` of PyPI: without it, the script says that it is skipped and ends with 0.
"""
import importlib.util, json, pathlib, random, signal, subprocess, sys, tempfile, time

# This file has the name of the package.
sys.path.pop(0)
if importlib.util.find_spec("tensorboard") is None:
    print("SKIPPED: the package tensorboard is not installed")
    sys.exit(0)
import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STUDY = """
[study]
name = "events"
[corpus]
path = "text"
layout = "files"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
runs = 4
[proxy]
preset = "nano"
lr = 0.004
layers = 1
d_model = 16
heads = 2
d_ff = 32
context = 16
steps = 3000
batch_size = 2
warmup = 2
evaluations = 60
eval_sequences = 4
checkpoint_every = 130
[logs]
tensorboard = true
"""


def write_corpus(study):
    words = random.Random(1)
    for domain in ["web", "code", "law"]:
        own = [f"{domain}{i}" for i in range(40)]
        lines = [
            json.dumps({"text": f"{i} " + " ".join(words.choices(own, k=30))})
            for i in range(200)
        ]
        path = study / "text" / f"{domain}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def open_events(run):
    accumulator = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def values(accumulator):
    """Tag to a list of (step, value)."""
    return {
        tag: [(e.step, e.value) for e in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def expected(run):
    table = {}
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        row = {f"loss/{domain}": x for domain, x in line["loss"].items()}
        row |= {f"bits_per_byte/{domain}": x for domain, x in line["bits_per_byte"].items()}
        row |= {key: line[key] for key in ["train_loss", "gradient_norm", "lr"]}
        for tag, x in row.items():
            table.setdefault(tag, []).append((line["step"], float(numpy.float32(x))))
    return table


def main():
    regmix = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        study = pathlib.Path(folder)
        (study / "study.toml").write_text(STUDY)
        write_corpus(study)
        call = [str(regmix), "-C", str(study)]
        for verb in ["tokenize", "design"]:
            subprocess.run([*call, verb], check=True, capture_output=True)
        # Killed when the second pair of runs has some evaluations after its last
        # checkpoint: these steps are made again.
        train = [*call, "train", "--parallel", "2"]
        child = subprocess.Popen(train, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        third = study / "runs/run-0002/metrics.jsonl"
        while not third.exists() or third.read_text().count("\n") < 9:
            assert child.poll() is None, "training ended early"
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
        runs = sorted(path for path in (study / "runs").iterdir() if path.is_dir())
        opened = {run: open_events(run) for run in runs}
        before = values(opened[runs[2]])["lr"]
        assert len(before) >= 8, before
        subprocess.run(train, check=True, capture_output=True)
        compared = 0
        for run in sorted(path for path in (study / "runs").iterdir() if path.is_dir()):
            want = expected(run)
            readers = [open_events(run)]
            if run in opened:
                opened[run].Reload()
                readers.append(opened[run])
            for reader, name in zip(readers, ["a new reader", "an open reader"]):
                have = values(reader)
                for tag in sorted({*have, *want}):
                    assert have.get(tag) == want.get(tag), (
                        f"{run.name}, {name}, {tag}:\n{have.get(tag)}\nexpected\n{want.get(tag)}"
                    )
                compared += sum(map(len, want.values()))
        print(f"{compared} values of {len(runs)} runs are equal, each step once")


main()
