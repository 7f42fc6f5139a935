#!/usr/bin/env python3
"""Measures `regmix status` on a study of many runs.

    benches/status.py target/release/regmix [--runs 500] [--evaluations 100] [--domains 20]

A small study is made in a temporary folder and some of its runs are trained. Their folders
are copied for all runs of a larger design, so that every file has its real format; four of
the copies have no DONE, as if they were in progress. Losses are fitted, so that `status`
has to find out whether the fit is out of date. Times are those of whole processes: the
median of nine, with the least and the greatest; the time of processors (user and system)
beside it says more where other programs run.
"""
import argparse, json, os, pathlib, random, resource, shutil, statistics, subprocess, tempfile, time

STUDY = """
[study]
name = "many"
[corpus]
path = "text"
layout = "files"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
sampler = "floored"
runs = RUNS
[proxy]
preset = "nano"
lr = 0.004
layers = 1
d_model = 16
heads = 2
d_ff = 16
context = 16
steps = STEPS
batch_size = 2
warmup = 2
evaluations = EVALUATIONS
eval_sequences = 1
[fit]
regressors = ["linear"]
folds = 3
"""
TRAINED = 8


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("regmix", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--domains", type=int, default=20)
    args = parser.parse_args()
    regmix = args.regmix.resolve()
    with tempfile.TemporaryDirectory() as folder:
        study = pathlib.Path(folder)

        def call(*words):
            subprocess.run([regmix, "-C", study, *words], check=True, capture_output=True)

        def write_study(runs):
            text = STUDY.replace("RUNS", str(runs)).replace("STEPS", str(args.evaluations))
            text = text.replace("EVALUATIONS", str(args.evaluations))
            (study / "study.toml").write_text(text)

        (study / "text").mkdir()
        words = random.Random(1)
        for d in range(args.domains):
            own = [f"d{d}w{i}" for i in range(30)]
            lines = [json.dumps({"text": " ".join(words.choices(own, k=20))}) for _ in range(100)]
            (study / f"text/domain{d:02}.jsonl").write_text("\n".join(lines) + "\n")
        write_study(TRAINED)
        for verb in ["tokenize", "design", "train"]:
            call(verb)
        trained = study / "trained"
        (study / "runs").rename(trained)
        write_study(args.runs)
        call("design", "--redo")
        hour_ago = time.time() - 3600
        for i in range(args.runs):
            source, run = f"run-{i % TRAINED:04}", f"run-{i:04}"
            target = study / "runs" / run
            target.mkdir(parents=True)
            for name in ["run.toml", "metrics.jsonl", "DONE"]:
                if name == "DONE" and i >= args.runs - 4:
                    continue
                text = (trained / source / name).read_text().replace(source, run)
                (target / name).write_text(text)
                os.utime(target / name, (hour_ago, hour_ago))
        shutil.rmtree(trained)
        call("fit")

        def measure(name, before):
            seconds, processor = [], []
            for _ in range(9):
                before()
                begun, used = time.perf_counter(), processor_seconds()
                call("status")
                seconds.append(time.perf_counter() - begun)
                processor.append(processor_seconds() - used)
            text = [
                f"{statistics.median(x):.3f} s ({min(x):.3f} to {max(x):.3f})"
                for x in [seconds, processor]
            ]
            print(f"{name:<42} {text[0]:<28} processors {text[1]}", flush=True)

        cache = study / ".status.json"
        measure("without the cache", lambda: cache.unlink(missing_ok=True))
        if cache.exists():
            print(f"the cache has {cache.stat().st_size / 1e3:.0f} kB")
        measure("with the cache", lambda: None)
        running = [study / f"runs/run-{args.runs - 1 - k:04}/metrics.jsonl" for k in range(4)]
        measure("with the cache, 4 runs have new metrics", lambda: [os.utime(p) for p in running])


main()
