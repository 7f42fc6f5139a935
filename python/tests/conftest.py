"""Tables whose truth is known, and the command of the same wheel."""
import subprocess
import sys
from pathlib import Path

import pytest

import regmix

DOMAINS = ["web", "code", "books"]
TARGETS = ["web", "code"]
RUNS = 24
FAST = {"regressors": ["law1", "linear"]}


def mixture(i):
    weights = [5 * i % RUNS + 1, 7 * i % RUNS + 2, 11 * i % RUNS + 3]
    return [w / sum(weights) for w in weights]


def loss(own):
    return 2.0 + (0.05 + own) ** -0.3


WEIGHTS = [mixture(i) for i in range(RUNS)]
LOSSES = [[loss(w[0]), loss(w[1])] for w in WEIGHTS]


@pytest.fixture(scope="session")
def fitted():
    return regmix.fit(WEIGHTS, LOSSES, domains=DOMAINS, targets=TARGETS, unit="nats", **FAST)


@pytest.fixture
def command(tmp_path):
    """Runs the command that the wheel installed, in the test's folder."""
    program = Path(sys.executable).parent / "regmix"

    def run(*args):
        arguments = [program, *map(str, args)]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
