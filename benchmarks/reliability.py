"""What trustworthiness costs: saving with checksums, opening a large directory, members that are frozen.

python benchmarks/reliability.py saving       share of training time at one save a minute
python benchmarks/reliability.py opening      `show` and `load(...).members` of 10,000 members, fresh processes
python benchmarks/reliability.py frozen       what a frozen member costs: one by one, and in vmapped blocks
"""

import dataclasses
import functools
import operator
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from models import cnn, gru, vanilla
from zoo import Training, Zoo, product, train
from zoo.devices import default_recipes, startup
from zoo.devices.blocks import blocks_of
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.tasks import digits, flipflop

ROOT = Path(__file__).parent.parent


def saving() -> None:
    """Trains the same zoo with no save in between and with one every two seconds, in turn."""
    zoos = {
        "64 GRUs of 64 units": Zoo(
            "gru", task=flipflop.Task(), model=gru.Model(hidden=64), training=Training(steps=60, batch=32), seeds=64
        ),
        "64 CNNs of 16 and 32 channels": Zoo(
            "cnn", task=digits.Task(), model=cnn.Model(), training=Training(steps=1500, batch=32), seeds=64
        ),
    }
    for name, zoo in zoos.items():
        seconds: dict[float, list[float]] = {1e9: [], 2.0: []}
        counts = []
        with tempfile.TemporaryDirectory() as folder:
            train(zoo.replace("training.steps", 4), Path(folder) / "warm", quiet=True)
            for turn in range(3):
                for every in seconds:
                    saved = count_saves()
                    begin = time.perf_counter()
                    train(zoo, Path(folder) / f"{turn} {every}", quiet=True, save_every=every)
                    seconds[every].append(time.perf_counter() - begin)
                    counts.append(len(saved))
            size = sum(p.stat().st_size for p in (Path(folder) / "0 2.0" / "cohorts").rglob("*") if p.is_file())
        without, with_saves = (float(np.median(s)) for s in seconds.values())
        blocks = -(-64 // default_block(zoo))
        rounds = (counts[1] - counts[0]) / blocks  # saves beyond the first and the last of every block
        each = max(0.0, with_saves - without) / rounds
        print(
            f"{name}: {without:.1f} s without, {with_saves:.1f} s with {rounds:.0f} rounds of {blocks} saves; a round "
            f"costs {each * 1000:.0f} ms: {100 * each / 60:.2f} % at one a minute ({size / 2**20:.1f} MiB on disk)"
        )


def count_saves() -> list[Any]:
    """A list that gets an entry with every checkpoint."""
    from zoo.store import checkpoints

    saved: list[Any] = []
    real = getattr(checkpoints.BlockFolder.save, "real", checkpoints.BlockFolder.save)

    def save(self: Any, step: int, *args: Any) -> None:
        saved.append(step)
        real(self, step, *args)

    save.real = real  # pyright: ignore[reportFunctionMemberAccess]
    checkpoints.BlockFolder.save = save
    return saved


def default_block(zoo: Zoo) -> int:
    (cohort,) = zoo.cohorts
    return default_recipe(cohort, members=len(cohort.members)).block


def opening() -> None:
    """Makes a directory of 10,000 members, trained for one step, and opens it three times."""
    zoo = Zoo(
        "large",
        task=flipflop.Task(steps=5, eval_trials=4, probe_trials=4),
        model=product(vanilla.Model, hidden=[2, 3, 4, 5]),
        training=product(Training, learning_rate=np.linspace(1e-3, 1e-2, 25).tolist(), steps=1, batch=1),
        seeds=100,
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "zoo"
        begin = time.perf_counter()
        train(zoo, out, quiet=True)
        files = sum(1 for _ in out.rglob("*"))
        print(f"10,000 members trained in {time.perf_counter() - begin:.0f} s: {files} files and folders")
        code = "import sys; from zoo import load; assert len(load(sys.argv[1]).members) == 10000"
        stale = "import sys; from zoo import load; z = load(sys.argv[1]); z.written = lambda: None; z.members"
        for name, words in {
            "load(...).members": [sys.executable, "-c", code, str(out)],
            "the same, from the blocks": [sys.executable, "-c", stale, str(out)],
            "show": [sys.executable, "run_zoo.py", "show", str(out)],
            "verify": [sys.executable, "run_zoo.py", "verify", str(out)],
            "train, all done": [sys.executable, "-c", ALL_DONE, str(out)],
        }.items():
            seconds = []
            for _ in range(3):
                begin = time.perf_counter()
                subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
                seconds.append(time.perf_counter() - begin)
            print(f"{name}: {np.median(seconds):.2f} s, the start of Python and its imports among them")


ALL_DONE = """
import sys
from zoo import load, train
trained = load(sys.argv[1])
train(trained.zoo, sys.argv[1], quiet=True)
"""


def frozen() -> None:
    """One by one: a block of which all, half and few run. All at once: with and without repacking."""
    import jax

    zoo = Zoo("few", task=flipflop.Task(), model=gru.Model(hidden=64), training=Training(steps=10**6), seeds=32)
    (cohort,) = zoo.cohorts
    recipe = dataclasses.replace(default_recipe(cohort), block=32, inner="map")
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    floats = jax.device_put(block.floats, device)
    rates = {}
    for running in (32, 16, 4, 1):
        state = program.init(block, device)
        status = np.where(np.arange(32) < running, 0, 1).astype(np.int32)
        state = program.advance(state._replace(status=jax.device_put(status, device)), floats, device, 1, False)
        begin = time.perf_counter()
        jax.block_until_ready(program.advance(state, floats, device, 8, False))
        rates[running] = time.perf_counter() - begin
    print("one by one, seconds of 8 steps of a block of 32, by how many run:", end=" ")
    print(", ".join(f"{n}: {s:.3f} ({s / rates[32]:.2f})" for n, s in rates.items()))

    from zoo.running import cohort_queue

    # Of every eight members one never reaches its target: the usual tail of a population.
    rates_of = [1e-2] * 7 + [1e-6]
    parts = [
        Zoo(
            "tail",
            task=flipflop.Task(steps=20, eval_trials=32),
            model=gru.Model(hidden=32),
            training=[Training(learning_rate=r, steps=1000, batch=16, evaluate_every=25, target=0.8)],
            seeds=[i],
        )
        for i in range(8)
        for r in [rates_of[i]]
    ]
    tail = functools.reduce(
        operator.add, [p.replace("seeds", [8 * k + i]) for k in range(8) for i, p in enumerate(parts)]
    )
    default_recipes.TABLE["cpu", "recurrent"] = (8, "vmap", "columns")
    real = cohort_queue.CohortQueue.swap
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2):
            seconds = {}
            for repacked in (True, False):
                cohort_queue.CohortQueue.swap = real if repacked else lambda self, running: []
                begin = time.perf_counter()
                trained = train(tail, Path(folder) / f"{turn} {repacked}", quiet=True)
                seconds[repacked] = time.perf_counter() - begin
        stopped = (trained.members["steps"] < 1000).mean()
        print(
            f"64 GRUs in vmapped blocks of 8, of which {100 * stopped:.0f} % stop early: {seconds[False]:.1f} s as "
            f"they are, {seconds[True]:.1f} s repacked ({seconds[False] / seconds[True]:.2f}x)"
        )


if __name__ == "__main__":
    startup.start()
    {"saving": saving, "opening": opening, "frozen": frozen}[sys.argv[1]]()
