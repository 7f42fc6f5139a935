#!/usr/bin/env python3
"""A small study as a task array on a real HyperQueue, with two accidents.

    ci/hyperqueue-workers.py [target/release/regmix]

PyPI's `hyperqueue` brings a server and workers, but not the command `hq`. The command
that `regmix launch hyperqueue --dry-run` prints is therefore read, and its tasks are
submitted through the package. While they train, the regmix of one task gets SIGKILL and
that of another SIGTERM. The other tasks take over their runs, and every trajectory
must be the same, to the bit, as that of a study that nothing disturbed.

Where the package is not installed and pip cannot install it into a temporary folder, this
prints that it is skipped and succeeds. Needs Python 3.9 or later.
"""
import json, os, pathlib, random, shlex, signal, subprocess, sys, tempfile, time, venv

WORKERS = 4
MODEL = """preset = "nano"
layers = 1
d_model = 32
heads = 2
d_ff = 64
context = 32
batch_size = 8
lr = 4e-3
eval_sequences = 4
checkpoint_every = 50
"""
STUDY = f"""[study]
name = "hyperqueue"
[corpus]
path = "text"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
runs = 16
[proxy]
{MODEL}steps = 600
evaluations = 12
[launch.hyperqueue]
workers = {WORKERS}
"""
WORDS = {
    "code": "let mut match impl return else",
    "law": "court shall hereby party section",
    "web": "page link home news site about",
}
TIMED = {"seconds", "train_seconds", "eval_seconds", "eval_share", "checksum"}


def hyperqueue_or_skip(folder):
    """Runs this file again with a Python that has the package."""
    try:
        import hyperqueue  # noqa: F401
    except ImportError:
        if "HYPERQUEUE_INSTALLED" in os.environ:
            sys.exit("the package hyperqueue was installed and cannot be imported")
        try:
            venv.create(folder / "python", with_pip=True)
            python = folder / "python" / "bin" / "python"
            command = [python, "-m", "pip", "-q", "install", "hyperqueue"]
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            print("SKIPPED: workers on HyperQueue: pip cannot install hyperqueue")
            sys.exit(0)
        environment = {**os.environ, "HYPERQUEUE_INSTALLED": "1"}
        sys.exit(subprocess.run([python, *sys.argv], env=environment).returncode)


def make_study(folder):
    random.seed(5)
    (folder / "text" / "train").mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    for domain, words in WORDS.items():
        lines = (f"{i} " + " ".join(random.choices(words.split(), k=12)) for i in range(200))
        text = "".join(json.dumps({"text": line}) + "\n" for line in lines)
        (folder / "text" / "train" / f"{domain}-0.jsonl").write_text(text)


def run(regmix, study, *arguments):
    command = [regmix, "-q", "-C", study, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def content(path):
    lines = path.read_text().splitlines()
    if path.name != "metrics.jsonl":
        return lines
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


def processes(regmix):
    """The numbers of the workers' processes."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "exe") == regmix:
                found.append(int(process.name))
        except OSError:
            pass
    return sorted(found)


def disturb(regmix, study):
    """Kills two workers once all of them train."""
    deadline = time.monotonic() + 60
    while len(list(study.glob("runs/*/metrics.jsonl"))) < WORKERS:
        if time.monotonic() > deadline:
            sys.exit("the workers do not begin")
        time.sleep(0.05)
    workers = processes(regmix)
    if len(workers) != WORKERS:
        sys.exit(f"{len(workers)} workers, expected {WORKERS}")
    os.kill(workers[0], signal.SIGKILL)
    os.kill(workers[1], signal.SIGTERM)
    done = len(list(study.glob("runs/*/DONE")))
    print(f"one worker killed and one stopped, with {done} of 16 runs done")


def main():
    # A bar of progress is no use in a log; read when the package is imported.
    os.environ["TQDM_DISABLE"] = "1"
    regmix = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/regmix")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        hyperqueue_or_skip(folder)
        from hyperqueue import Job, LocalCluster
        from hyperqueue.cluster import WorkerConfig

        study, whole = folder / "a study", folder / "whole"
        for one in (study, whole):
            make_study(one)
            for verb in ("tokenize", "design"):
                run(regmix, one, verb)
        run(regmix, whole, "train")
        # A launch writes the number of the campaign.
        (study / "campaign.json").write_text('{"nonce": "0123456789abcdef"}')
        arguments = ["launch", "hyperqueue", "--dry-run", "--", "--device", "cpu"]
        arguments += ["--parallel", "1", "--stale-after", "10s"]
        words = shlex.split(run(regmix, study, *arguments))
        command = words[words.index("--") + 1 :]
        if "--array=0-3" not in words or "0123456789abcdef" not in command:
            sys.exit(f"another command than expected: {words}")
        with LocalCluster(str(folder / "server")) as cluster:
            for _ in range(WORKERS):
                cluster.start_worker(WorkerConfig(cores=1))
            client = cluster.client()
            job = Job(default_workdir=str(study), max_fails=None)
            for task in range(WORKERS):
                log = str(folder / f"task-{task}.log")
                environment = {"HQ_TASK_ID": str(task)}
                job.program(command, env=environment, stdout=log, stderr=log + ".err")
            submitted = client.submit(job)
            disturb(regmix, study)
            client.wait_for_jobs([submitted], raise_on_error=False)
            failed = client.get_failed_tasks(submitted)
            if len(failed) != 2:
                sys.exit(f"expected the two disturbed tasks to fail, found {sorted(failed)}")
        files = [p for p in sorted(whole.rglob("*")) if p.name in ("metrics.jsonl", "DONE")]
        files.append(whole / "trajectories.csv")
        differing = []
        for path in files:
            other = study / path.relative_to(whole)
            if not other.exists() or content(other) != content(path):
                differing.append(str(path.relative_to(whole)))
        print(f"{len(files)} files of runs compared, {len(differing)} differ", *differing)
        if differing or len(files) != 2 * 16 + 1:
            for log in sorted(folder.glob("task-*")):
                print(f"----- {log.name}\n{log.read_text()}")
            sys.exit(1)


if __name__ == "__main__":
    main()
