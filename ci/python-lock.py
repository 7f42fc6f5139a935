#!/usr/bin/env python3
"""Compares the versions in python/Cargo.lock with those in Cargo.lock: with other versions of
a dependency the module might give other numbers than the command."""
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def versions(lock):
    found = defaultdict(set)
    for name, version in re.findall(r'name = "(.*)"\nversion = "(.*)"', lock.read_text()):
        found[name].add(version)
    return found


expected = versions(ROOT / "Cargo.lock")
wrong = 0
for name, own in sorted(versions(ROOT / "python" / "Cargo.lock").items()):
    for version in sorted(own - expected[name]) if name in expected else []:
        wrong += 1
        print(
            f"python/Cargo.lock: {name} {version}, expected {' or '.join(sorted(expected[name]))} "
            f"as in Cargo.lock\nhelp: cargo update --manifest-path python/Cargo.toml "
            f"--precise {max(expected[name])} {name}@{version}",
            file=sys.stderr,
        )
sys.exit(1 if wrong else 0)
