"""One benchmark in two checkouts by turns: the ratio of their rates round by round, with limits.

    python benchmarks/paired.py OLD NEW -- training.py --here cohort --seconds 4
    python benchmarks/paired.py OLD NEW -- convolution.py --here cohort --seconds 4
    python benchmarks/paired.py OLD NEW --less cpu -- similarity.py --here "debiased CKA" --size 256 500 128

OLD and NEW are folders; each runs its own `benchmarks/SCRIPT`, which prints a rate as its last line, or figures as a
JSON object of which --less names one where less is better. The two take turns in being first. The ratio, new over old,
is the median of the rounds; its limits are the 2.5 and 97.5 % quantiles of medians of resampled rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np


def figure(checkout: Path, words: list[str], name: str | None) -> float:
    """The number that a run of a checkout's benchmark ends with."""
    command = [sys.executable, str(checkout / "benchmarks" / words[0]), *words[1:]]
    settings = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{checkout}: {done.stderr[-2000:]}")
    last = json.loads(done.stdout.strip().splitlines()[-1])
    return float(last[name] if name else last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--less", metavar="NAME", help="a figure of which less is better, instead of a rate")
    parser.add_argument("words", nargs="+", metavar="SCRIPT ...")
    arguments = parser.parse_args()
    checkouts = [arguments.old.resolve(), arguments.new.resolve()]
    for checkout in checkouts:  # fills the compilation cache
        figure(checkout, arguments.words, arguments.less)
    ratios = []
    for number in range(arguments.rounds):
        order = checkouts if number % 2 == 0 else checkouts[::-1]
        figures = {checkout: figure(checkout, arguments.words, arguments.less) for checkout in order}
        old, new = (figures[checkout] for checkout in checkouts)
        ratios.append(old / new if arguments.less else new / old)
        print(f"round {number + 1}: old {old:.4g}, new {new:.4g}, ratio {ratios[-1]:.3f}", flush=True)
    draws = np.random.default_rng(0).choice(ratios, (9999, len(ratios)))
    low, high = np.quantile(np.median(draws, 1), [0.025, 0.975])
    print(f"{' '.join(arguments.words)}: ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
