#!/usr/bin/env python3
"""Damages the files that regmix reads, one at a time, and looks at what it does.

    ci/mutants.py target/release/regmix [--count 5000] [--seed 1] [--only NAME]

A small study is made in a temporary folder. Every mutant is a copy of it with one
damaged file, on which one command runs under 4 GB of address space and 20 seconds.
The outcome is one of

    refused    an error that names the file, exit code 1 or 2
    unnamed    an error that does not name it
    same       the result of the undamaged file
    mentioned  another result, and a message about the file or the run
    other      another result, from a file that the user writes
    SILENT     another result, from a file that regmix writes: a fault
    PANIC, ABORT, HANG: faults

The exit code is 1 if there is a fault. A failing mutant is named by its file and its
number, and `--only NAME --first NUMBER --count 1 --keep FOLDER` makes it again. The
same seed and count give the same mutants. Needs Python 3.9 or later, and nothing else.
"""
import argparse, collections, gzip, hashlib, json, os, pathlib, random, re, resource
import shutil, signal, subprocess, sys, tempfile, time

STUDY = """
[study]
name = "mutants"
seed = 3
[corpus]
path = "text"
layout = "files"
valid_share = 0.2
[tokenizer]
kind = "{tokenizer}"
{tokenizer_more}
[design]
runs = 10
[proxy]
preset = "nano"
lr = 0.004
layers = 1
d_model = 8
heads = 2
d_ff = 16
context = 16
steps = 8
batch_size = 4
warmup = 2
evaluations = 4
eval_sequences = 4
checkpoint_every = 3
[target]
preset = "nano"
lr = 0.004
layers = 1
d_model = 8
heads = 2
d_ff = 16
context = 16
steps = 8
batch_size = 4
eval_sequences = 4
[fit]
regressors = ["linear", "ridge"]
[check]
seeds = 2
[dynamic]
stages = 2
"""


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(regmix, folder, arguments, stdin=None, timeout=20):
    """Exit code (None: too long), stdout and stderr."""
    environment = {**os.environ, "NO_COLOR": "1", "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run([regmix, *arguments], cwd=folder, input=stdin, timeout=timeout,
                              capture_output=True, preexec_fn=limits, env=environment)
    except subprocess.TimeoutExpired:
        return None, b"", b""
    return done.returncode, done.stdout, done.stderr


def words(rng, vocabulary, n):
    return " ".join(rng.choice(vocabulary) for _ in range(n))


def text(folder, rng):
    (folder / "text/train").mkdir(parents=True)
    for d, domain in enumerate(["web", "code", "law"]):
        vocabulary = [f"{domain}{i}" for i in range(40)] + ["the", "of", "and"]
        documents = [json.dumps({"text": words(rng, vocabulary, 40), "id": i}) + "\n" for i in range(60)]
        data = "".join(documents).encode()
        if d == 1:
            (folder / f"text/train/{domain}-0.jsonl.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / f"text/train/{domain}-0.jsonl").write_bytes(data)


def tables(folder, rng):
    """Losses and trajectories of runs on random mixtures."""
    rows = []
    for run_number in range(24):
        weights = [rng.expovariate(1) for _ in range(3)]
        weights = [w / sum(weights) for w in weights]
        rows.append((f"r{run_number}", weights))
    header = "run,web,code,law\n"
    loss = lambda w, t: 2 + (0.05 + w * t) ** -0.3
    line = lambda name, values: ",".join([name, *(f"{v:.6f}" for v in values)]) + "\n"
    (folder / "mixtures.csv").write_text(header + "".join(line(n, w) for n, w in rows))
    (folder / "losses.csv").write_text(header + "".join(line(n, [loss(x, 1) for x in w]) for n, w in rows))
    steps = [100, 200, 300, 400, 500, 600]
    (folder / "own-trajectories.csv").write_text("run,step,tokens,web,code,law\n" + "".join(
        line(f"{n},{s},{s * 1000}", [loss(x, s / 600) for x in w]) for n, w in rows for s in steps))
    (folder / "objective.toml").write_text('loss = "mean"\n[constraints.cap]\nweb = 0.7\n')


def fixture(regmix, folder, rng, tokenizer):
    more = "vocab_size = 300" if tokenizer == "bpe" else ""
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY.format(tokenizer=tokenizer, tokenizer_more=more))
    text(folder, rng)
    tables(folder, rng)
    for arguments in [["tokenize"], ["design"], ["train", "--parallel", "1"], ["fit"], ["optimize"],
                      ["fit", "--mixtures", "mixtures.csv", "--losses", "losses.csv", "--out", "own",
                       "--regressors", "linear,ridge,law1"]]:
        code, out, err = run(regmix, folder, arguments, timeout=120)
        if code != 0:
            sys.exit(f"the fixture fails: {arguments}: {err.decode()}")
    code, _, err = run(regmix, folder, ["schedule"], timeout=120)
    if code != 0:
        sys.exit(f"the fixture fails: schedule: {err.decode()}")


def asked(regmix, folder):
    """Proxies that were asked questions (`[eval]`)."""
    shutil.rmtree(folder / "runs")
    study = (folder / "study.toml").read_text().replace("[proxy]\n", "[proxy]\nkeep_weights = true\n", 1)
    (folder / "study.toml").write_text(
        study + "[eval.held_out]\nquestions = 10\ncontext = 8\ncontinuation = 4\n")
    for arguments in [["train", "--parallel", "1"], ["fit", "--redo"]]:
        code, _, err = run(regmix, folder, arguments, timeout=120)
        if code != 0:
            sys.exit(f"the fixture fails: {arguments}: {err.decode()}")


def climbed(regmix, folder):
    """Proxies of CLIMB, beside as many of the study as three rounds need."""
    study = (folder / "study.toml").read_text().replace("runs = 10", "runs = 14", 1)
    (folder / "study.toml").write_text(study + '[compare]\nmethods = ["climb"]\nseeds = 1\n')
    for arguments in [["design", "--redo"], ["train", "--redo", "--parallel", "1"], ["fit", "--redo"],
                      ["optimize", "--redo"], COMPARE]:
        code, _, err = run(regmix, folder, arguments, timeout=120)
        if code != 0:
            sys.exit(f"the fixture fails: {arguments}: {err.decode()}")


def stopped(regmix, folder):
    """A run that was killed between two checkpoints."""
    shutil.rmtree(folder / "runs")
    study = (folder / "study.toml").read_text()
    slow = study.replace("steps = 8\nbatch_size = 4\nwarmup", "steps = 400\nbatch_size = 4\nwarmup", 1)
    (folder / "study.toml").write_text(slow.replace("checkpoint_every = 3", "checkpoint_every = 60"))
    process = subprocess.Popen([regmix, "-q", "train", "--parallel", "1"], cwd=folder, stderr=subprocess.DEVNULL)
    previous = folder / "runs/run-0000/checkpoint/state.previous.safetensors"
    for _ in range(4000):
        if previous.exists() or process.poll() is not None:
            break
        time.sleep(0.002)
    process.kill()
    process.wait()
    if not previous.exists():
        sys.exit("the fixture fails: the first run was not stopped between two checkpoints")
    for run_folder in (folder / "runs").iterdir():
        if run_folder.is_dir() and run_folder.name != "run-0000":
            shutil.rmtree(run_folder)
    # One run is enough to compare.
    return folder


NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
NUMBERS = [b"-1", b"0", b"1e308", b"-1e308", b"NaN", b"null", b"99999999999999999999", b"2147483648",
           b"1e-320", b"0.5", b"\"x\"", b"", b"4294967295", b"65536"]


def mutate(data, rng):
    if not data:
        return bytes(rng.randrange(256) for _ in range(8))
    data = bytearray(data)
    kind = rng.randrange(12)
    at = rng.randrange(len(data))
    end = min(len(data), at + rng.choice([1, 2, 8, 64, 512]))
    lines = bytes(data).split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind <= 1:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[at] = rng.randrange(256)
    elif kind == 3:
        del data[at:end]
    elif kind == 4:
        data[at:at] = data[at:end]
    elif kind == 5:
        data[at:at] = bytes(rng.randrange(256) for _ in range(end - at))
    elif kind == 6:
        del data[at:]
    elif kind == 7:
        data[at:end] = bytes(end - at)
    elif kind == 8:
        lines[i], lines[j] = lines[j], lines[i]
        return b"\n".join(lines)
    elif kind == 9:
        del lines[i]
        return b"\n".join(lines)
    elif kind == 10:
        lines.insert(i, lines[j])
        return b"\n".join(lines)
    else:
        found = list(NUMBER.finditer(bytes(data[:1 << 20])))
        if found:
            number = rng.choice(found)
            data[number.start():number.end()] = rng.choice(NUMBERS)
        else:
            data[at] ^= 0x80
    return bytes(data)


def digest(folder, names):
    hasher = hashlib.sha256()
    for name in names:
        for path in sorted(folder.glob(name)):
            content = path.read_bytes()
            if path.name == "league.csv":
                continue
            hasher.update(path.name.encode() + b"\0" + content + b"\0")
    return hasher.hexdigest()


OWN = "of the user"
COMPARE = ["compare", "--parallel", "1"]
PREDICT = ["predict", "--fit", "own", "--mixtures", "mixtures.csv", "--out", "predicted.csv"]
FIT = ["fit", "--mixtures", "mixtures.csv", "--losses", "losses.csv", "--out", "again",
       "--regressors", "linear,ridge"]
SCHEDULE = ["schedule", "--trajectories", "own-trajectories.csv", "--mixtures", "mixtures.csv", "--steps", "1000",
            "--tokens", "1e6", "--out", "plan"]
ONLINE = b'{"step":3,"losses":{"web":5.5,"code":5.5,"law":5.5}}\n'

# name, fixture, damaged files, folders removed before, command, stdin, results, whose file it is
CASES = [
    ("text", "bytes", ["text/train/web-0.jsonl"], ["corpus"], ["tokenize"], None, ["corpus/manifest.json"], OWN),
    ("gzip", "bytes", ["text/train/code-0.jsonl.gz"], ["corpus"], ["tokenize"], None, ["corpus/manifest.json"], OWN),
    ("study", "bytes", ["study.toml"], [], ["--format", "json", "status"], None, [], OWN),
    ("mixtures", "bytes", ["mixtures.csv"], [], FIT, None, ["again/*"], OWN),
    ("losses", "bytes", ["losses.csv"], [], FIT, None, ["again/*"], OWN),
    ("trajectories", "bytes", ["own-trajectories.csv"], [], SCHEDULE, None, ["plan/*"], OWN),
    ("objective", "bytes", ["objective.toml"], [], ["optimize", "--fit", "own", "--objective", "objective.toml",
     "--out", "found.json"], None, ["found.json"], OWN),
    ("observation", "bytes", [], [], ["online"], ONLINE, ["online.json"], OWN),
    ("tokenizer", "bpe", ["corpus/tokenizer.json"], [], ["tokenize"], None, ["corpus/manifest.json"], "regmix"),
    ("given-tokenizer", "file", ["tok.json"], ["corpus"], ["tokenize"], None, ["corpus/manifest.json"], OWN),
    ("shard", "bytes", ["corpus/train/web-00000.tok", "corpus/valid/law-00000.tok"], ["runs"],
     ["train", "--parallel", "1"], None, ["trajectories.csv"], "regmix"),
    ("manifest", "bytes", ["corpus/manifest.json", "corpus/verified.json"], ["runs"],
     ["train", "--parallel", "1"], None, ["trajectories.csv"], "regmix"),
    ("design", "bytes", ["design/mixtures.csv"], ["runs"], ["train", "--parallel", "1"], None,
     ["trajectories.csv"], OWN),
    ("stamps", "bytes", ["corpus/inputs.json", "design/inputs.json", "fit/inputs.json", "mixture.inputs.json"],
     [], ["optimize"], None, ["mixture.json"], "regmix"),
    ("checkpoint", "stopped", ["runs/run-0000/checkpoint/state.safetensors"], [], ["train", "--parallel", "1"],
     None, ["trajectories.csv"], "regmix"),
    ("interrupted-metrics", "stopped", ["runs/run-0000/metrics.jsonl", "runs/run-0000/run.toml"], [],
     ["train", "--parallel", "1"], None, ["trajectories.csv"], "regmix"),
    ("finished-run", "bytes", ["runs/run-0001/metrics.jsonl", "runs/run-0001/DONE", "runs/run-0001/run.toml"],
     ["fit"], ["fit"], None, ["trajectories.csv", "fit/values.csv"], "regmix"),
    ("scores", "asked", ["runs/run-0001/eval/scores.json", "runs/run-0002/eval/scores.json"],
     ["fit"], ["fit"], None, ["fit/values.csv"], "regmix"),
    ("climb", "climbed", ["climb/mixtures/round-2.csv", "climb/mixtures/round-3.inputs.json",
     "climb/round-2-0001/metrics.jsonl", "climb/round-3-0002/DONE", "climb/round-3-0001/run.toml"], [], COMPARE,
     None, ["compare.csv", "compare.json"], "regmix"),
    ("fit", "bytes", ["own/fit.json", "own/mixtures.csv", "own/values.csv", "own/predictions.csv"], [], PREDICT,
     None, ["predicted.csv"], "regmix"),
    ("mixture", "bytes", ["mixture.json"], [], ["--format", "json", "optimize"], None, ["stdout"], "regmix"),
    ("schedule", "bytes", ["schedule.json"], [], ["--format", "json", "schedule"], None, ["stdout"], "regmix"),
    ("controller", "bytes", ["controller.json"], [], ["online"], ONLINE, ["stdout"], "regmix"),
    ("state", "online", ["online.json"], [], ["online"], ONLINE.replace(b"3", b"5", 1), ["stdout"], "regmix"),
]


def outcome(case, regmix, folder, reference, damaged, stdin):
    name, _, _, _, arguments, _, results, owner = case
    code, out, err = run(regmix, folder, arguments, stdin)
    said = (out + err).decode(errors="replace")
    if code is None:
        return "HANG", ""
    if b"panicked" in err or code == 101:
        return "PANIC", said
    if code < 0 or code > 125:
        return "ABORT", said
    if code != 0:
        named = damaged is None or pathlib.Path(damaged).name in said.replace("\n  │ ", "")
        return ("refused" if named and code in (1, 2) else "unnamed"), said
    result = out if results == ["stdout"] else digest(folder, results).encode()
    if result == reference:
        return "same", said
    if owner == OWN:
        return "other", said
    mentioned = damaged and (pathlib.Path(damaged).name in said or "run-000" in said or "round-" in said or "--redo" in said)
    return ("mentioned" if mentioned else "SILENT"), said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regmix", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    regmix = str(options.regmix.resolve())
    cases = [c for c in CASES if options.only in (None, c[0])]
    if not cases:
        sys.exit(f"--only: expected one of {', '.join(c[0] for c in CASES)}")
    counts = collections.defaultdict(collections.Counter)
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        fixture(regmix, root / "bytes", random.Random(options.seed), "bytes")
        fixture(regmix, root / "bpe", random.Random(options.seed), "bpe")
        shutil.copytree(root / "bpe", root / "file")
        shutil.copy(root / "bpe/corpus/tokenizer.json", root / "file/tok.json")
        study = (root / "file/study.toml").read_text()
        (root / "file/study.toml").write_text(
            study.replace('kind = "bpe"\nvocab_size = 300', 'kind = "file"\npath = "tok.json"\nseparator = "<|endoftext|>"'))
        shutil.copytree(root / "bytes", root / "online")
        run(regmix, root / "online", ["online"], ONLINE)
        shutil.copytree(root / "bytes", root / "asked")
        asked(regmix, root / "asked")
        shutil.copytree(root / "bytes", root / "climbed")
        climbed(regmix, root / "climbed")
        shutil.copytree(root / "bytes", root / "stopped")
        stopped(regmix, root / "stopped")
        references = {}
        for k, case in enumerate(cases):
            name, which, files, removed, arguments, stdin, results, owner = case
            per_case = options.count // len(cases) + (k < options.count % len(cases))
            for i in range(options.first, options.first + per_case):
                if name not in references:
                    folder = root / "work"
                    shutil.copytree(root / which, folder)
                    for gone in removed:
                        shutil.rmtree(folder / gone, ignore_errors=True)
                    code, out, err = run(regmix, folder, arguments, stdin, timeout=120)
                    if code != 0:
                        sys.exit(f"{name}: the undamaged files fail: {err.decode()}")
                    references[name] = out if results == ["stdout"] else digest(folder, results).encode()
                    shutil.rmtree(folder)
                rng = random.Random(f"{options.seed} {name} {i}")
                folder = options.keep or root / "work"
                shutil.copytree(root / which, folder)
                for gone in removed:
                    shutil.rmtree(folder / gone, ignore_errors=True)
                damaged, given = None, stdin
                if files:
                    damaged = rng.choice(files)
                    path = folder / damaged
                    path.write_bytes(mutate(path.read_bytes(), rng))
                else:
                    given = mutate(stdin, rng)
                found, said = outcome(case, regmix, folder, references[name], damaged, given)
                counts[name][found] += 1
                if found in ("SILENT", "PANIC", "ABORT", "HANG"):
                    faults.append((name, i, damaged, found))
                    print(f"{found}: {name} {i} ({damaged})", " ".join(said.split())[:300], sep="\n    ", file=sys.stderr)
                if not options.keep:
                    shutil.rmtree(folder)
            print(f"{name}: {dict(sorted(counts[name].items()))}", file=sys.stderr)
    kinds = ["refused", "unnamed", "same", "mentioned", "other", "SILENT", "PANIC", "ABORT", "HANG"]
    print("| files |", " | ".join(kinds), "|")
    print("|---" * (len(kinds) + 1) + "|")
    for name, row in counts.items():
        print(f"| {name} |", " | ".join(str(row[kind]) for kind in kinds), "|")
    total = sum(counts.values(), collections.Counter())
    print("| all |", " | ".join(str(total[kind]) for kind in kinds), "|")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
