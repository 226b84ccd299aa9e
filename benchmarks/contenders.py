"""What the benchmarks share: rates, this program's compiled chunk on all devices, and contenders in turn."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))


def rate_of(call: Callable[[], int], seconds: float) -> float:
    """Member-steps per second of a call that returns how many it took, after one call to warm up."""
    call()
    begin, taken = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds:
        taken += call()
    return taken / elapsed


def cohort_rate(zoo: Any, seconds: float, steps: int = 10) -> float:
    """This program: the compiled chunk of a zoo of one cohort on all local devices, blocks as the recipe has them."""
    from zoo import executor
    from zoo.spec import cohorts

    executor.start()
    import jax

    (only,) = cohorts(zoo)
    devices = jax.local_devices()
    program = executor.fitted(only, executor.default_recipe(only), devices[0])
    placed = []
    for i, block in enumerate(executor.blocks(only, program.recipe)):
        device = devices[i % len(devices)]
        placed.append([device, jax.device_put(block.floats, device), program.init(block, device), block.rows])

    def work(device: Any, seconds: float, taken: list[int]) -> None:
        # Devices do not wait for each other, as in `train`.
        own = [entry for entry in placed if entry[0] is device]
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            for entry in own:
                entry[2] = jax.block_until_ready(program.advance(entry[2], entry[1], device, steps, False))
            taken.append(steps * sum(entry[3] for entry in own))

    def run(seconds: float) -> float:
        taken: list[int] = []
        threads = [threading.Thread(target=work, args=(device, seconds, taken)) for device in devices]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(taken) / (time.perf_counter() - begin)

    run(0.1)
    return run(seconds)


def in_turn(
    script: str, contenders: Sequence[str], interpreters: dict[str, str], flags: Sequence[str], rounds: int
) -> dict[str, list[float]]:
    """Rates of every contender, each in a process of its own (`script --here NAME`), in turn, several rounds."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            command = [interpreters.get(name, sys.executable), script, "--here", name, *flags]
            done = subprocess.run(command, capture_output=True, text=True, timeout=900)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            rates[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return rates


def print_ratios(rates: dict[str, list[float]], ours: str = "cohort") -> dict[str, float]:
    """Medians with their range, and how many times faster `ours` is; the medians."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        line = f"{name:<16}{median:10.1f} member-steps/s ({min(rates[name]):.1f} to {max(rates[name]):.1f})"
        if ours in medians and name != ours:
            line += f"   {ours} is {medians[ours] / median:6.2f} x"
        print(line)
    return medians
