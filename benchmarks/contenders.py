"""What the benchmarks share: rates, this program's compiled chunk on all devices, and contenders in turn."""

import argparse
import json
import os
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


def by_turns(figure: Callable[[], Any], shown: Callable[[Any], Any] = lambda result: result) -> Any:
    """A figure; under `paired.py`, where processes take turns, one is shown for every line that comes in."""
    if "BENCHMARK_TURNS" not in os.environ:
        return figure()
    for _ in sys.stdin:
        print(json.dumps(shown(figure())), flush=True)
    sys.exit()


def cohort_rate(zoo: Any, seconds: float, steps: int = 10) -> float:
    """This program: the compiled chunk of a zoo of one cohort in all lanes, blocks as the recipe has them."""
    from zoo.devices import startup
    from zoo.devices.blocks import blocks_of
    from zoo.devices.default_recipes import default_recipe
    from zoo.devices.fitting import fitted

    startup.start()
    import jax

    (only,) = zoo.cohorts
    devices = startup.lanes()
    program = fitted(only, default_recipe(only), devices[0])
    placed: list[list[list[Any]]] = [[] for _ in devices]
    for i, block in enumerate(blocks_of(only, program.recipe)):
        device = devices[lane := i % len(devices)]
        placed[lane].append([program.init(block, device), jax.device_put(block.floats, device), block.rows])

    def work(lane: int, seconds: float, taken: list[int]) -> None:
        # Lanes do not wait for each other, as in `train`.
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            for entry in placed[lane]:
                state, floats = entry[:2]
                entry[0] = jax.block_until_ready(program.advance(state, floats, devices[lane], steps, False))
            taken.append(steps * sum(rows for _, _, rows in placed[lane]))

    def run(seconds: float) -> float:
        taken: list[int] = []
        threads = [threading.Thread(target=work, args=(lane, seconds, taken)) for lane in range(len(devices))]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(taken) / (time.perf_counter() - begin)

    run(0.1)
    return by_turns(lambda: run(seconds))


def parser_of(description: str | None, jax_peers: Sequence[str], torch_peers: Sequence[str]) -> argparse.ArgumentParser:
    """The flags that the benchmarks of training share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="per contender and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--device", choices=("cpu", "gpu", "tpu"), default="cpu", help="of JAX; PyTorch runs on a GPU, too"
    )
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has torch")
    everyone = (*jax_peers, *torch_peers)
    parser.add_argument("--only", nargs="+", choices=everyone, default=everyone)
    parser.add_argument("--here", help=argparse.SUPPRESS)
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; JAX is told of the device."""
    arguments = parser.parse_args()
    if not arguments.here:
        os.environ["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(arguments.device, arguments.device)
    return arguments


def in_turn(
    script: str, arguments: argparse.Namespace, torch_peers: Sequence[str], names: Sequence[str]
) -> dict[str, list[float]]:
    """Rates of every contender, each in a process of its own (`script --here NAME`), in turn, several rounds.

    Args:
      script: the benchmark.
      arguments: its arguments.
      torch_peers: contenders that the interpreter with torch runs.
      names: arguments to hand on.
    """
    rates: dict[str, list[float]] = {name: [] for name in arguments.only}
    flags = flags_of(arguments, names)
    for _ in range(arguments.rounds):
        for name in arguments.only:
            interpreter = arguments.torch_python if name in torch_peers else sys.executable
            command = [interpreter, script, "--here", name, *flags]
            done = subprocess.run(command, capture_output=True, text=True, timeout=900)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            rates[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return rates


def flags_of(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Arguments as flags for another process of the same benchmark, `--device` and `--seconds` always among them."""
    values = {name: getattr(arguments, name) for name in (*names, "seconds", "device")}
    lists = {name: value if isinstance(value, list | tuple) else [value] for name, value in values.items()}
    return [word for name, value in lists.items() for word in (f"--{name}", *map(str, value))]


def print_ratios(rates: dict[str, list[float]], ours: str = "cohort") -> dict[str, float]:
    """Medians with their range, and how many times faster `ours` is; the medians."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        line = f"{name:<16}{median:10.1f} member-steps/s ({min(rates[name]):.1f} to {max(rates[name]):.1f})"
        if ours in medians and name != ours:
            line += f"   {ours} is {medians[ours] / median:6.2f} x"
        print(line)
    return medians
