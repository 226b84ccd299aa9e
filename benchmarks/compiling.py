"""What a first call waits for: a CPU's programs compiled once for lanes on one device, or by each of its devices."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

NAMES = ("recurrent", "convolutional")


def cohort(name: str):
    """64 members of about the benchmarks' sizes."""
    from models import cnn, vanilla
    from zoo import Training, Zoo
    from zoo.tasks import digits, flipflop

    task, model = {
        "recurrent": (flipflop.Task(), vanilla.Model(hidden=64)),
        "convolutional": (digits.Task(), cnn.Model(channels=(16, 32), normalization="batch", dropout=0.2)),
    }[name]
    return Zoo("compiling", task=task, model=model, training=Training(steps=100), seeds=64).cohorts[0]


def one(name: str, once: bool) -> None:
    """Seconds of one cold compilation for all lanes; in a process of its own."""
    from concurrent.futures import ThreadPoolExecutor

    import jax

    from zoo.devices import startup
    from zoo.devices.default_recipes import default_recipe
    from zoo.devices.executable import Executable

    startup.start()
    program = Executable(found := cohort(name), default_recipe(found))
    devices = startup.lanes() if once else jax.local_devices()
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(program.compiled, devices))
    print(time.perf_counter() - begin)


def main() -> None:
    """Both ways by turns, each with an empty cache; medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("NAME", "HOW"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    if a.one:
        one(a.one[0], a.one[1] == "once")
        return
    print("| model | lanes | a device each | one device | |\n|---|---|---|---|---|")
    for name in NAMES:
        for devices in (1, 2, 4, 8):
            seconds = {"each": [], "once": []}
            for _ in range(a.rounds):
                for how, found in seconds.items():
                    with tempfile.TemporaryDirectory() as cache:
                        settings = {**os.environ, "XDG_CACHE_HOME": cache, "JAX_NUM_CPU_DEVICES": str(devices)}
                        words = [sys.executable, __file__, "--one", name, how]
                        done = subprocess.run(words, env=settings, capture_output=True, text=True, check=True)
                    found.append(float(done.stdout))
            each, once = (statistics.median(found) for found in seconds.values())
            print(f"| {name} | {devices} | {each:.1f} | {once:.1f} | {each / once:.2f} x |", flush=True)


if __name__ == "__main__":
    main()
