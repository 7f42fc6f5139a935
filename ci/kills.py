#!/usr/bin/env python3
"""Kills regmix in every step of a study, and loads its controller over HTTP.

    ci/kills.py target/release/regmix [--count 25] [--seed 1] [--only STEP]

A small study is made in a temporary folder, step by step, without any interruption.
Then each step runs again from the files before it and gets SIGKILL, SIGINT or SIGTERM
at a random moment, up to three times in a row. The same command then runs to its end,
and every file is compared with the study that was never interrupted.

    resume   nothing was there before; the step is killed and repeated
    redo     a setting was changed; the step is killed with `--redo`, and without it
             regmix must refuse or give the new result: anything else is STALE

    ended      the step was over before the signal
    stopped    killed, or stopped with the exit code of its signal
    refused    without `--redo`, after the kill: refused as out of date or unfinished
    STALE      old or partial files were taken as finished
    DIFFERENT  other bytes than without the interruption
    TEMPORARY  files of the killed process were left after the next start
    FAILED     another exit code, or the repeated command failed
    seconds    the longest time between SIGINT or SIGTERM and the end

Compared byte for byte, apart from durations (in league.csv and metrics.jsonl) and
the caches verified.json and .status.json, which hold numbers of files. The exit code
is 1 if there is a fault (capitals). Needs Python 3.9 or later, and nothing else.
"""
import argparse, collections, contextlib, hashlib, json, os, pathlib, random, re
import shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

STUDY = """
[study]
name = "kills"
seed = 3
[corpus]
path = "text"
layout = "files"
valid_share = 0.2
[tokenizer]
kind = "bpe"
vocab_size = 300
[design]
runs = 8
[proxy]
preset = "nano"
keep_weights = true
lr = 0.004
layers = 1
d_model = 16
heads = 2
d_ff = 32
context = 16
steps = 60
batch_size = 4
warmup = 2
evaluations = 6
eval_sequences = 8
checkpoint_every = 10
[target]
preset = "nano"
lr = 0.003
layers = 1
d_model = 16
heads = 2
d_ff = 32
context = 16
steps = 40
batch_size = 4
evaluations = 4
eval_sequences = 8
checkpoint_every = 10
[eval.held_out]
questions = 40
context = 12
continuation = 4
[fit]
regressors = ["linear", "ridge", "law1"]
folds = 3
[objective]
loss = "mean"
[check]
seeds = 2
[dynamic]
stages = 2
"""
# Durations, numbers of files (in caches), locks, and the checkpoint before the last, which
# depends on when a run was continued.
IGNORED = ["league.csv", "verified.json", ".status.json", "lock", "state.previous.safetensors"]
DOMAINS = ["web", "code", "law"]
SIGNALS = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 75}

# The step, its arguments, the results that `--redo` must give, what to change in
# study.toml for that, and a step that reads the results and is quick.
TRAIN = ["train", "--parallel", "2"]
TARGET = ["target", "--parallel", "2", "--schedule", "offline", "--schedule", "online"]
STEPS = [
    ("tokenize", ["tokenize"], ["corpus"], ("vocab_size = 300", "vocab_size = 310"), ["design"]),
    ("design", ["design"], ["design"], ("runs = 8", "runs = 9"), None),
    ("train", TRAIN, ["runs", "trajectories.csv"], ("steps = 60", "steps = 48"), None),
    ("fit", ["fit"], ["fit"], ("folds = 3", "folds = 4"), ["optimize"]),
    ("optimize", ["optimize"], ["mixture.json"], ('loss = "mean"', 'loss = "web"'), None),
    ("schedule", ["schedule"], ["schedule.json", "controller.json"], ("stages = 2", "stages = 3"), None),
    ("target", TARGET, ["targets", "check.json"], ("lr = 0.003", "lr = 0.002"), None),
]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "RUST_BACKTRACE": "0"}


def start(regmix, folder, arguments, **pipes):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **pipes}
    return subprocess.Popen([regmix, *arguments], cwd=folder, env=ENVIRONMENT, **pipes)


def run(regmix, folder, arguments):
    """Exit code, output and seconds."""
    began = time.monotonic()
    process = start(regmix, folder, arguments)
    out, _ = process.communicate(timeout=300)
    return process.returncode, out.decode(errors="replace"), time.monotonic() - began


def finish(regmix, folder, arguments):
    code, said, seconds = run(regmix, folder, arguments)
    if code != 0:
        sys.exit(f"the uninterrupted study fails: {arguments}: {said}")
    return seconds


def make_study(folder, rng):
    (folder / "text/train").mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    for domain in DOMAINS:
        vocabulary = [f"{domain}{i}" for i in range(60)] + ["the", "of", "and"]
        with open(folder / f"text/train/{domain}-0.jsonl", "w") as file:
            for i in range(4000):
                words = " ".join(rng.choice(vocabulary) for _ in range(60))
                file.write(json.dumps({"text": f"{i} {words}"}) + "\n")


def without_times(name, content):
    """The contents of a file without durations."""
    if name.endswith("metrics.jsonl"):
        content = re.sub(rb'"(\w*seconds|eval_share|checksum)":("[^"]*"|[-+.e0-9]+)', b"", content)
    return hashlib.sha256(content).hexdigest()


def contents(folder, below=("",)):
    found = {}
    for root in below:
        top = folder / root
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            name = str(path.relative_to(folder))
            ignored = path.name in IGNORED or ".old-" in name
            if path.is_file() and not ignored and not name.startswith("text"):
                found[name] = without_times(name, path.read_bytes())
    return found


def differing(a, b):
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


class Row:
    """What became of the kills of one step."""

    def __init__(self):
        self.counts = collections.Counter()
        self.slowest = 0.0

    def fault(self, kind, what):
        self.counts[kind] += 1
        print(f"{kind}: {what}", file=sys.stderr)


def interrupt(process, rng, seconds, row, what):
    """Sends a random signal at a random moment; whether the process was still there."""
    given = rng.choice(list(SIGNALS))
    time.sleep(rng.uniform(0, seconds))
    ended = process.poll() is not None
    sent = time.monotonic()
    process.send_signal(given)
    out, _ = process.communicate(timeout=60)
    if not ended and given != signal.SIGKILL:
        row.slowest = max(row.slowest, time.monotonic() - sent)
    code = process.returncode
    # Before the handler is there, a signal ends the process as usual.
    if code == 0:
        row.counts["ended"] += 1
        return False
    if code in (SIGNALS[given], -given):
        row.counts["stopped"] += 1
        return True
    row.fault("FAILED", f"{what}: {given.name} gave exit code {code}: {(out or b'').decode()[-300:]}")
    return True


def left_over(folder, row, what):
    left = [path.name for path in folder.rglob(".regmix-*.tmp")]
    if left:
        row.fault("TEMPORARY", f"{what}: {left[:5]}")


def resume(regmix, before, after, step, seconds, rng, row, work):
    name, arguments, *_ = step
    shutil.copytree(before, work)
    for _ in range(rng.randint(1, 3)):
        if not interrupt(start(regmix, work, arguments), rng, 1.1 * seconds, row, name):
            break
    code, said, _ = run(regmix, work, arguments)
    if code != 0:
        row.fault("FAILED", f"{name} repeated: {said[-300:]}")
    elif found := differing(contents(work), after):
        row.fault("DIFFERENT", f"{name}: {found[:5]}")
    left_over(work, row, name)


def redo(regmix, before, wanted, step, seconds, rng, row, work):
    name, arguments, results, change, reader = step
    shutil.copytree(before, work)
    study = (work / "study.toml").read_text()
    (work / "study.toml").write_text(study.replace(*change, 1))
    for _ in range(rng.randint(1, 2)):
        process = start(regmix, work, [*arguments, "--redo"])
        if not interrupt(process, rng, 1.1 * seconds, row, f"{name} --redo"):
            break
    stamps = work / "kept"
    if reader:
        # The next step reads the new result or nothing. It is tried on a copy.
        shutil.copytree(work, stamps, ignore=shutil.ignore_patterns("kept"))
        whole = not differing(contents(stamps, results), wanted)
        code, said, _ = run(regmix, stamps, [*reader, "--redo"])
        if code == 0 and not whole:
            row.fault("STALE", f"{reader} after {name}: {said[-300:]}")
        shutil.rmtree(stamps)
    code, said, _ = run(regmix, work, arguments)
    if code == 2:
        row.counts["refused"] += 1
    elif code != 0:
        row.fault("FAILED", f"{name} after a kill: {said[-300:]}")
    elif found := differing(contents(work, results), wanted):
        row.fault("STALE", f"{name} without --redo: {found[:5]}")
    code, said, _ = run(regmix, work, [*arguments, "--redo"])
    if code != 0:
        row.fault("FAILED", f"{name} --redo repeated: {said[-300:]}")
    elif found := differing(contents(work, results), wanted):
        row.fault("DIFFERENT", f"{name} --redo: {found[:5]}")
    left_over(work, row, name)


def observations():
    """What a target reports after each of its steps."""
    steps = range(1, 41)
    loss = lambda step, d: 2 + 3.5 / (1 + step * (d + 1) / 40)
    return [json.dumps({"step": s, "losses": {n: round(loss(s, d), 6) for d, n in enumerate(DOMAINS)}}) for s in steps]


def answers(regmix, folder, lines, rng=None, seconds=0.0, row=None):
    """Sends lines from the first that has no answer; with `rng`, until the process is
    killed. The answers."""
    process = start(regmix, folder, ["-q", "online"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    got = []

    def talk():
        with contextlib.suppress(OSError):
            for line in lines:
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()
                reply = process.stdout.readline()
                if not reply.endswith(b"\n"):
                    return
                got.append(json.loads(reply))
            process.stdin.close()

    thread = threading.Thread(target=talk)
    thread.start()
    if rng:
        time.sleep(rng.uniform(0, seconds))
        given = rng.choice(list(SIGNALS))
        sent, ended = time.monotonic(), process.poll() is not None
        process.send_signal(given)
        process.wait(timeout=60)
        if not ended and given != signal.SIGKILL:
            row.slowest = max(row.slowest, time.monotonic() - sent)
        if process.returncode not in (0, SIGNALS[given], -given):
            row.fault("FAILED", f"online: {given.name} gave exit code {process.returncode}")
        row.counts["ended" if process.returncode == 0 else "stopped"] += 1
    thread.join(timeout=60)
    process.wait(timeout=60)
    return got


def online(regmix, folder, count, rng, row, work):
    """A client sends again what had no answer. What it is told must be the same."""
    lines = observations()
    shutil.copytree(folder, work)
    began = time.monotonic()
    expected = answers(regmix, work, lines)
    seconds = time.monotonic() - began
    if not all(reply["ok"] for reply in expected) or len(expected) != len(lines):
        sys.exit(f"the uninterrupted controller fails: {expected[-1:]}")
    state = (work / "online.json").read_bytes()
    shutil.rmtree(work)
    mixtures = lambda replies: [reply["mixture"] for reply in replies]
    for _ in range(count):
        shutil.copytree(folder, work)
        got = []
        for _ in range(rng.randint(1, 3)):
            left = lines[len(got):]
            if left:
                got += answers(regmix, work, left, rng, seconds * len(left) / len(lines), row)
        got += answers(regmix, work, lines[len(got):])
        # An observation whose answer was lost is sent twice, which its answer says.
        if mixtures(got) != mixtures(expected):
            row.fault("DIFFERENT", "online: the mixtures")
        if decided(work / "online.json") != decided(state):
            row.fault("DIFFERENT", "online: the state")
        left_over(work, row, "online")
        shutil.rmtree(work)


def decided(state):
    state = json.loads(state if isinstance(state, bytes) else state.read_bytes())
    for counted in ("check", "checksum", "refused", "corrected", "blake3"):
        state.pop(counted, None)
    return state


class Load:
    """Clients of one kind: what they got, and how long the answers took."""

    def __init__(self):
        self.outcomes = collections.Counter()
        self.seconds = []

    def request(self, port, data, pause=None, expect=1):
        """Sends bytes, at once or slowly; counts the status of every answer."""
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                if pause is None:
                    client.sendall(data)
                else:
                    for byte in data:
                        client.sendall(bytes([byte]))
                        time.sleep(pause)
                got = b""
                while got.count(b"HTTP/1.1 ") < expect or not got.endswith(b"\n"):
                    some = client.recv(65536)
                    if not some:
                        break
                    got += some
            statuses = re.findall(rb"HTTP/1\.1 (\d+)", got)
            for status in statuses:
                self.outcomes[status.decode()] += 1
            if len(statuses) < expect:
                self.outcomes["closed"] += 1
        except OSError as error:
            self.outcomes[type(error).__name__] += 1
        self.seconds.append(time.monotonic() - began)

    def row(self, name):
        times = sorted(self.seconds) or [0.0]
        said = ", ".join(f"{n} x {status}" for status, n in sorted(self.outcomes.items()))
        return f"| {name} | {len(self.seconds)} | {said} | {statistics.median(times):.3f} | {times[-1]:.3f} |"


def http(regmix, folder, work, seconds, rng):
    """Loads a server for a while. Returns the rows of the table and the faults."""
    shutil.copytree(folder, work)
    server = start(regmix, work, ["online", "--listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)
    # The first message names the port.
    said = server.stderr.readline().decode()
    port = int(re.search(r"port (\d+)", said).group(1))
    threading.Thread(target=server.stderr.read, daemon=True).start()
    kinds = collections.defaultdict(Load)
    get = b"GET /mixture HTTP/1.1\r\nHost: x\r\n\r\n"
    lines = iter(observations())
    end = time.monotonic() + seconds

    def post(body, length=None):
        return b"POST /observe HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (length or len(body), body)

    def plain():
        while time.monotonic() < end:
            kinds["GET /mixture"].request(port, get)
            if line := next(lines, None):
                kinds["POST /observe"].request(port, post(line.encode()))
            time.sleep(0.01)

    def slow():
        while time.monotonic() < end:
            kinds["slow: a byte every 50 ms"].request(port, get, pause=0.05)

    def idle():
        while time.monotonic() < end:
            kinds["idle: sends nothing"].request(port, b"")

    def pipelined():
        while time.monotonic() < end:
            kinds["ten requests at once"].request(port, get * 10, expect=10)
            time.sleep(0.05)

    def large():
        while time.monotonic() < end:
            kinds["a body of 2 MiB"].request(port, post(b" " * (2 << 20)))
            kinds["a length beyond all bounds"].request(port, post(b"{}", 10 ** 30))
            time.sleep(0.05)

    def garbage():
        own = random.Random(rng.random())
        while time.monotonic() < end:
            data = bytes(own.randrange(256) for _ in range(own.randrange(1, 2000)))
            kinds["random bytes"].request(port, data + b"\r\n\r\n")
            broken = bytearray(post(b'{"step":1,"losses":{"web":1}}'))
            broken[own.randrange(len(broken))] = own.randrange(256)
            kinds["a request with one byte changed"].request(port, bytes(broken) + b"\r\n\r\n")

    clients = [plain, slow, slow, slow, *[idle] * 30, pipelined, large, garbage, garbage]
    threads = [threading.Thread(target=client) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faults = []
    after = Load()
    after.request(port, get)
    if after.outcomes != {"200": 1} or server.poll() is not None:
        faults.append(f"the server answers no more: {after.outcomes}, exit code {server.poll()}")
    for name in ("GET /mixture", "POST /observe", "ten requests at once"):
        if set(kinds[name].outcomes) != {"200"}:
            faults.append(f"{name}: {dict(kinds[name].outcomes)}")
    sent = time.monotonic()
    server.send_signal(signal.SIGTERM)
    if server.wait(timeout=30) != 75:
        faults.append(f"SIGTERM gave exit code {server.returncode}")
    ended = time.monotonic() - sent
    shutil.rmtree(work)
    rows = [load.row(name) for name, load in kinds.items()]
    return rows, f"SIGTERM ended it after {ended:.2f} s", faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regmix", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=25, help="kills of each kind and step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a step, `online` or `http`")
    parser.add_argument("--seconds", type=float, default=10, help="of load over HTTP")
    options = parser.parse_args()
    regmix = str(options.regmix.resolve())
    names = [step[0] for step in STEPS] + ["online", "http"]
    if options.only not in (None, *names):
        sys.exit(f"--only: expected one of {', '.join(names)}")
    wanted = lambda name: options.only in (None, name)
    rows, served, faults = {}, [], []
    with tempfile.TemporaryDirectory() as temporary:
        root, work = pathlib.Path(temporary), pathlib.Path(temporary) / "work"
        folder = root / "study"
        make_study(folder, random.Random(options.seed))
        for step in STEPS:
            name, arguments, results, change, _ = step
            before, after = root / f"before-{name}", root / f"after-{name}"
            shutil.copytree(folder, before)
            seconds = finish(regmix, folder, arguments)
            shutil.copytree(folder, after)
            whole = contents(after)
            if not wanted(name):
                continue
            for kind in ("resume", "redo"):
                row = rows[f"{name}, {kind}"] = Row()
                if kind == "redo":
                    shutil.copytree(after, work)
                    study = (work / "study.toml").read_text()
                    (work / "study.toml").write_text(study.replace(*change, 1))
                    finish(regmix, work, [*arguments, "--redo"])
                    new = contents(work, results)
                    shutil.rmtree(work)
                for i in range(options.count):
                    rng = random.Random(f"{options.seed} {name} {kind} {i}")
                    if kind == "resume":
                        resume(regmix, before, whole, step, seconds, rng, row, work)
                    else:
                        redo(regmix, after, new, step, seconds, rng, row, work)
                    shutil.rmtree(work)
                print(f"{name}, {kind}: {dict(row.counts)}", file=sys.stderr)
        if wanted("online"):
            row = rows["online"] = Row()
            online(regmix, folder, options.count, random.Random(f"{options.seed} online"), row, work)
        if wanted("http"):
            served, ended, faults = http(regmix, folder, work, options.seconds, random.Random(options.seed))
    kinds = ["ended", "stopped", "refused", "STALE", "DIFFERENT", "TEMPORARY", "FAILED"]
    if rows:
        print("| step |", " | ".join(kinds), "| seconds |")
        print("|---" * (len(kinds) + 2) + "|")
        for name, row in rows.items():
            print(f"| {name} |", " | ".join(str(row.counts[kind]) for kind in kinds), f"| {row.slowest:.2f} |")
    if served:
        print("\n| client | requests | answers | median s | longest s |\n|---|---|---|---|---|")
        print("\n".join(served), ended, sep="\n")
    for fault in faults:
        print(f"FAILED: {fault}", file=sys.stderr)
    found = any(row.counts[kind] for row in rows.values() for kind in kinds[3:])
    sys.exit(1 if found or faults else 0)


if __name__ == "__main__":
    main()
