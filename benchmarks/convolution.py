"""Training speed of convolutional networks beside the alternatives, member-steps per second, in one run.

    pip install -e '.[benchmark]'
    python benchmarks/convolution.py                       16 networks, 28 x 28, 16 and 32 channels, batch 64
    python benchmarks/convolution.py --size 32 --colours 3 --kernel 5
    python benchmarks/convolution.py --forms               this program's recipes over kernels, channels and maps

Each contender runs in processes of its own, in turn, several rounds; the medians and their ratios are printed. The
contenders get one ready-made batch, ours draws and normalises its images in the step. All compute in float32.

    cohort           this program: the default recipe on all local devices, as `train` runs it (compiled chunk only)
    vmap             plain JAX: native convolutions, `jit(vmap)` over all members, one device
    map              plain JAX: native convolutions, `jit(lax.map)` over all members, one device
    torch-one        PyTorch, one network at a time: the best of 1 and all threads, channels first and last
    torch-processes  PyTorch, one process of one thread per core (on a GPU: two processes), the better memory format
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from contenders import cohort_rate, flags_of, in_turn, parsed, parser_of, print_ratios, rate_of

JAX_PEERS, TORCH_PEERS = ("cohort", "vmap", "map"), ("torch-one", "torch-processes")
NETWORK = ("members", "size", "colours", "channels", "kernel", "dense", "batch")
"""What all contenders are told."""
CLASSES, RATE = 10, 1e-3
SWEEP = [
    # image, colours, channels, kernel
    (8, 1, (16, 32), 3), (28, 1, (8, 16), 3), (28, 1, (16, 32), 1), (28, 1, (16, 32), 3), (28, 1, (16, 32), 5),
    (28, 1, (16, 32), 7), (28, 1, (64, 64), 3), (32, 3, (32, 64), 3),
]  # fmt: skip


def zoo_of(a: argparse.Namespace, folder: str, steps: int = 10**9) -> Any:
    """A zoo of one cohort on random images of the size asked for."""
    import numpy as np

    from models import cnn
    from zoo import Training, Zoo
    from zoo.tasks import images

    file, count = Path(folder) / "images.npz", 2000
    shape = (count, a.size, a.size) + ((3,) if a.colours == 3 else ())
    generator = np.random.default_rng(0)
    np.savez(file, images=generator.integers(0, 256, shape, np.uint8), labels=np.arange(count) % CLASSES)
    model = cnn.Model(channels=tuple(a.channels), kernel=a.kernel, dense=(a.dense,))
    training = Training(learning_rate=RATE, batch=a.batch, steps=steps)
    return Zoo("benchmark", task=images.Task(file=str(file)), model=model, training=training, seeds=range(a.members))


def plain(a: argparse.Namespace, mapped: str) -> float:
    """The network as a user would write it: native convolutions, one device."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen as nn
    from jax import lax

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for channels in a.channels:
                x = nn.max_pool(nn.relu(nn.Conv(channels, (a.kernel, a.kernel))(x)), (2, 2), (2, 2))
            return nn.Dense(CLASSES)(nn.relu(nn.Dense(a.dense)(x.reshape(len(x), -1))))

    network, optimizer = Network(), optax.adam(RATE)
    images = jax.random.normal(jax.random.key(0), (a.batch, a.size, a.size, a.colours))
    labels = jnp.arange(a.batch) % CLASSES

    def init(key: Any) -> Any:
        params = network.init(key, images)
        return params, optimizer.init(params)

    def step(state: Any) -> Any:
        def loss(params: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(network.apply(params, images), labels).mean()

        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params), moments)
        return optax.apply_updates(params, updates), moments

    jax.config.update("jax_default_matmul_precision", "highest")  # float32, as the others
    over = jax.vmap(step) if mapped == "vmap" else lambda state: lax.map(step, state)
    run = jax.jit(over, donate_argnums=0)
    held = [jax.jit(jax.vmap(init))(jax.random.split(jax.random.key(0), a.members))]

    def call() -> int:
        held[0] = jax.block_until_ready(run(held[0]))
        return a.members

    return rate_of(call, a.seconds)


def torch_step(a: argparse.Namespace, last: bool) -> Any:
    """One training step of one network; `last`: channels last."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths, size = [a.colours, *a.channels], a.size // 2 ** len(a.channels)
            self.convolutions = nn.ModuleList(
                nn.Conv2d(i, o, a.kernel, padding="same") for i, o in itertools.pairwise(widths)
            )
            self.dense, self.readout = nn.Linear(widths[-1] * size * size, a.dense), nn.Linear(a.dense, CLASSES)

        def forward(self, x: Any) -> Any:
            for convolution in self.convolutions:
                x = nn.functional.max_pool2d(torch.relu(convolution(x)), 2)
            return self.readout(torch.relu(self.dense(x.flatten(1))))

    place = "cuda" if a.device == "gpu" else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # float32, as the others
    torch.backends.cudnn.benchmark = True
    form = torch.channels_last if last else torch.contiguous_format
    network = Network().to(place, memory_format=form)
    images = torch.randn(a.batch, a.colours, a.size, a.size).to(place, memory_format=form)
    labels = (torch.arange(a.batch) % CLASSES).to(place)
    optimizer = torch.optim.Adam(network.parameters(), RATE)

    def call() -> int:
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        if place == "cuda":
            torch.cuda.synchronize()
        return 3

    return call


def torch_one(a: argparse.Namespace) -> float:
    import torch

    best = 0.0
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        best = max(best, *(rate_of(torch_step(a, last), a.seconds / 2) for last in (False, True)))
    return best


def torch_processes(a: argparse.Namespace) -> float:
    """The sum over processes that begin to count at one moment."""
    count = 2 if a.device == "gpu" else len(os.sched_getaffinity(0))
    begin = time.time() + 10
    command = [sys.executable, __file__, "--here", "torch-worker", f"--begin={begin}", *flags_of(a, NETWORK)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    rates = [json.loads(worker.communicate(timeout=600)[0].strip().splitlines()[-1]) for worker in workers]
    return max(sum(each) for each in zip(*rates))


def torch_worker(a: argparse.Namespace) -> list[float]:
    import torch

    torch.set_num_threads(1)
    rates = []
    for i, last in enumerate((False, True)):
        call = torch_step(a, last)
        call()
        if (late := time.time() - (a.begin + i * (a.seconds + 3))) > 0:
            sys.exit(f"A process was {late:.1f} s late to begin with the others.")
        time.sleep(-late)
        rates.append(rate_of(call, a.seconds))
    return rates


def one_rate(name: str, a: argparse.Namespace) -> Any:
    if name == "cohort":
        with tempfile.TemporaryDirectory() as folder:
            return cohort_rate(zoo_of(a, folder), a.seconds, steps=4)
    if name in ("vmap", "map"):
        return plain(a, name)
    if name == "torch-processes":
        return torch_processes(a)
    return torch_one(a) if name == "torch-one" else torch_worker(a)


def forms(a: argparse.Namespace) -> None:
    """Rates of this program's recipes over kernel sizes, channels and map sizes."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from zoo.devices import startup, tuning
    from zoo.devices.executable import Executable
    from zoo.devices.recipe import Recipe

    startup.start()
    import jax

    a.members = members = 4 * len(jax.local_devices()) if jax.default_backend() == "cpu" else 64
    recipes = [("columns", "map"), ("columns", 2), ("columns", "vmap"), ("native", "map"), ("native", "vmap")]
    print(f"{jax.local_devices()[0].device_kind}, member-steps/s, batch {a.batch}, {members} members a block or device")
    print(f"{'image':>12}{'channels':>12}{'kernel':>8}" + "".join(f"{f'{f} {i}':>15}" for f, i in recipes))
    with tempfile.TemporaryDirectory() as folder:
        for a.size, a.colours, a.channels, a.kernel in SWEEP:
            (cohort,) = zoo_of(a, folder).cohorts
            line = f"{f'{a.size}x{a.size}x{a.colours}':>12}{'-'.join(map(str, a.channels)):>12}{a.kernel:>8}"
            for form, inner in recipes:
                block = 4 if jax.default_backend() == "cpu" else members
                recipe = Recipe(block, inner, form, startup.threads())
                line += f"{tuning.steps_per_second(Executable(cohort, recipe), a.seconds):>15.1f}"
            print(line, flush=True)


def main() -> None:
    parser = parser_of(__doc__, JAX_PEERS, TORCH_PEERS)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--size", type=int, default=28, help="width and height of the images")
    parser.add_argument("--colours", type=int, default=1, choices=(1, 3))
    parser.add_argument("--channels", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--dense", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--forms", action="store_true", help="compare this program's recipes instead")
    parser.add_argument("--begin", type=float, help=argparse.SUPPRESS)
    a = parsed(parser)
    if a.forms:
        forms(a)
        return
    if a.here:
        print(json.dumps(one_rate(a.here, a)))
        return
    rates = in_turn(__file__, a, TORCH_PEERS, NETWORK)
    channels = " and ".join(map(str, a.channels))
    print(
        f"{a.members} CNNs, {a.size} x {a.size} x {a.colours}, {channels} channels, kernel {a.kernel}, "
        f"{a.dense} dense, batch {a.batch}, Adam"
    )
    medians = print_ratios(rates)
    if "cohort" in medians and "torch-processes" in medians:
        pairs = [x / y for x, y in zip(rates["cohort"], rates["torch-processes"])]
        print(f"cohort / torch-processes round by round: {', '.join(f'{r:.2f}' for r in pairs)} "
              f"(median {statistics.median(pairs):.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
