"""One benchmark in two checkouts by turns: the ratio of their rates turn by turn, with limits.

    python benchmarks/paired.py OLD NEW -- training.py --here cohort --seconds 1
    python benchmarks/paired.py OLD NEW -- convolution.py --here cohort --seconds 1
    python benchmarks/paired.py OLD NEW --less wall -- similarity.py --here "debiased CKA" --size 256 500 128

OLD and NEW are folders; each runs its own `benchmarks/SCRIPT` in a process that stays, compiles once and then measures
whenever it is asked (`contenders.by_turns`); the other waits. So a turn lasts a second, and what else goes on in the
machine meets both. The two take turns in being first. A script gives a rate, or figures of which --less names one where
less is better. The ratio, new over old, is the median of the rounds; its limits are the 2.5 and 97.5 % quantiles of
medians of resampled rounds.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np


def started(checkout: Path, words: list[str]) -> "subprocess.Popen[str]":
    """A process that measures whenever it gets a line."""
    command = [sys.executable, str(checkout / "benchmarks" / words[0]), *words[1:]]
    settings = {**os.environ, "PYTHONPATH": str(checkout), "BENCHMARK_TURNS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=checkout, env=settings, text=True, **pipes)


def figure(process: "subprocess.Popen[str]", name: str | None) -> float:
    """What a process measures in one turn."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    for line in process.stdout:
        with contextlib.suppress(ValueError):  # other lines say what is done
            value = json.loads(line)
            return float(value[name] if name else value)
    sys.exit(f"{process.args} ended with {process.wait()}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--less", metavar="NAME", help="a figure of which less is better, instead of a rate")
    parser.add_argument("words", nargs="+", metavar="SCRIPT ...")
    arguments = parser.parse_args()
    processes = []
    for checkout in (arguments.old, arguments.new):
        processes.append(started(checkout.resolve(), arguments.words))
        figure(processes[-1], arguments.less)  # the first turn compiles
    ratios = []
    for number in range(arguments.rounds):
        order = processes if number % 2 == 0 else processes[::-1]
        figures = {process: figure(process, arguments.less) for process in order}
        old, new = (figures[process] for process in processes)
        ratios.append(old / new if arguments.less else new / old)
        print(f"round {number + 1}: old {old:.4g}, new {new:.4g}, ratio {ratios[-1]:.3f}", flush=True)
    for process in processes:
        process.terminate()
    draws = np.random.default_rng(0).choice(ratios, (9999, len(ratios)))
    low, high = np.quantile(np.median(draws, 1), [0.025, 0.975])
    print(f"{' '.join(arguments.words)}: ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
