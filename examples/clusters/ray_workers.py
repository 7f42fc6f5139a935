"""Workers of a study as tasks of Ray.

    python ray_workers.py /shared/my-study --workers 8 --gpus 1 -- --device cuda

Each task is one `regmix train`. A task is retried when its worker was asked to stop
before the work was done (exit code 75), was killed by a signal, or was lost with its node.
Exit codes 1 (runs failed) and 2 (wrong input) are final: another attempt would end in the
same way. What follows `--` is passed to `regmix train`.
"""

import argparse
import subprocess
import sys

import ray

ASKED_TO_STOP = 75


class Unfinished(Exception):
    """A worker ended before its work was done."""


def work(number, command):
    """Trains runs until none is free, and returns the exit code."""
    code = subprocess.run(command, check=False).returncode
    if code == ASKED_TO_STOP or code < 0:
        raise Unfinished(f"worker {number} ended with {code}")
    return code


def main():
    parser = argparse.ArgumentParser(description="Runs workers of a study as tasks of Ray.")
    parser.add_argument("study", help="its folder, which every node sees under this path")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cpus", type=float, default=1, help="of each worker")
    parser.add_argument("--gpus", type=float, default=0, help="of each worker")
    parser.add_argument("--retries", type=int, default=20, help="of each worker")
    parser.add_argument("--regmix", default="regmix", help="the command, as the nodes find it")
    options = sys.argv[1:]
    end = options.index("--") if "--" in options else len(options)
    given = parser.parse_args(options[:end])

    ray.init()
    command = [given.regmix, "-C", given.study, "train", *options[end + 1 :]]
    task = ray.remote(work).options(
        num_cpus=given.cpus,
        num_gpus=given.gpus,
        max_retries=given.retries,
        retry_exceptions=[Unfinished],
    )
    workers = [task.remote(number, command) for number in range(given.workers)]
    failed = 0
    for number, worker in enumerate(workers):
        try:
            code = ray.get(worker)
        except (ray.exceptions.RayError, Unfinished) as error:
            print(f"worker {number}: {error}", file=sys.stderr)
            failed += 1
            continue
        if code != 0:
            print(f"worker {number} ended with {code}; `regmix status` says why", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
