"""Training speed beside the alternatives, member-steps per second, in one run.

    pip install -e '.[benchmark]'
    python benchmarks/training.py                      64 rate RNNs (64 units, 32 trials, 100 steps, Adam)
    python benchmarks/training.py --model gru --device gpu

Each contender runs in a process of its own, in turn, several rounds; the medians and their ratios are printed. The
PyTorch contenders get ready-made batches, ours draws its trials inside the step.

    cohort       this program: the default recipe in all lanes, as `train` runs it (compiled chunk only)
    loop         this program's whole training loop: evaluation, checkpoints, progress
    vmap         plain JAX: the same network written in a few lines, `jit(vmap)` over all members, one device
    one          plain JAX: the same network, jitted, one member at a time
    torch-cell   PyTorch, one member at a time, the cell written by hand
    torch-rnn    PyTorch, one member at a time, nn.RNN (the discrete network) or nn.GRU
"""

import argparse
import functools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from contenders import cohort_rate, in_turn, parsed, parser_of, print_ratios, rate_of

HIDDEN, BATCH, STEPS, BITS, RATE, ALPHA = 64, 32, 100, 3, 1e-3, 0.2
JAX_PEERS, TORCH_PEERS = ("cohort", "loop", "vmap", "one"), ("torch-cell", "torch-rnn")


def zoo_of(model: str, members: int, steps: int) -> Any:
    from models import gru, vanilla
    from zoo import Training, Zoo
    from zoo.tasks import flipflop

    chosen = {"rnn": vanilla.Model(hidden=HIDDEN, continuous=True, tau=50.0), "gru": gru.Model(hidden=HIDDEN)}[model]
    training = Training(learning_rate=RATE, batch=BATCH, steps=steps)
    return Zoo(
        "benchmark", task=flipflop.Task(bits=BITS, steps=STEPS), model=chosen, training=training, seeds=range(members)
    )


def loop(model: str, members: int, seconds: float) -> float:
    """All of `train`, from the first step to the last, compilation taken out: by the difference of two lengths."""
    from zoo import train
    from zoo.devices import startup

    startup.start()

    def run(steps: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            train(zoo_of(model, members, steps), Path(folder) / "zoo", quiet=True)
            return time.perf_counter() - begin

    run(200)  # fills the compilation cache with the shorter program; the longer differs in a constant
    short = run(200)
    rough = 200 * members / short
    steps = 200 + max(400, int(1.5 * seconds * rough / members))
    run_seconds = [run(steps) for _ in range(2)][-1]
    return (steps - 200) * members / (run_seconds - short)


def plain(model: str, members: int, seconds: float, mapped: bool) -> float:
    """The network as a user would write it: no recipe, no chunks, one device."""
    import jax
    import jax.numpy as jnp
    import optax

    gates = {"rnn": 1, "gru": 3}[model]
    optimizer = optax.adam(RATE)

    def init(key: Any) -> Any:
        keys = jax.random.split(key, 3)
        params = {
            "input": jax.random.normal(keys[0], (BITS, gates * HIDDEN)) / BITS**0.5,
            "recurrent": jax.random.normal(keys[1], (HIDDEN, gates * HIDDEN)) / HIDDEN**0.5,
            "bias": jnp.zeros(gates * HIDDEN),
            "readout": jax.random.normal(keys[2], (HIDDEN, BITS)) / HIDDEN**0.5,
        }
        return params, optimizer.init(params)

    def cell(params: Any, state: Any, x: Any) -> tuple[Any, Any]:
        if model == "rnn":
            z = state @ params["recurrent"] + x @ params["input"] + params["bias"]
            state = (1 - ALPHA) * state + ALPHA * jnp.tanh(z)
            return state, state
        h, drive = state @ params["recurrent"], x @ params["input"] + params["bias"]
        (hr, hz, hn), (xr, xz, xn) = jnp.split(h, 3, -1), jnp.split(drive, 3, -1)
        z = jax.nn.sigmoid(hz + xz)
        new = jnp.tanh(xn + jax.nn.sigmoid(hr + xr) * hn)
        state = (1 - z) * new + z * state
        return state, state

    def loss(params: Any, key: Any) -> Any:
        inputs = jax.random.normal(key, (STEPS, BATCH, BITS))
        _, rates = jax.lax.scan(lambda s, x: cell(params, s, x), jnp.zeros((BATCH, HIDDEN)), inputs)
        return jnp.mean((rates @ params["readout"] - jnp.sign(inputs)) ** 2)

    def step(state: Any, key: Any) -> Any:
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, key), moments)
        return optax.apply_updates(params, updates), moments

    count = members if mapped else 1
    keys = jax.random.split(jax.random.key(0), count)
    if mapped:
        run, state = jax.jit(jax.vmap(step), donate_argnums=0), jax.vmap(init)(keys)
    else:
        run, state, keys = jax.jit(step, donate_argnums=0), init(keys[0]), keys[0]
    held = [state]

    def call() -> int:
        for _ in range(5):
            held[0] = run(held[0], keys)
        jax.block_until_ready(held[0])
        return 5 * count

    return rate_of(call, seconds)


def torch_one(model: str, seconds: float, by_hand: bool, device: str) -> float:
    """One network at a time in PyTorch; the better of one thread and all of them."""
    import torch

    place = "cuda" if device == "gpu" else "cpu"

    class Cell(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            gates = {"rnn": 1, "gru": 3}[model]
            self.input = torch.nn.Linear(BITS, gates * HIDDEN)
            self.recurrent = torch.nn.Linear(HIDDEN, gates * HIDDEN, bias=model == "gru")

        def step(self, x: Any, state: Any) -> Any:
            drive, recurrent = self.input(x), self.recurrent(state)
            if model == "rnn":
                return (1 - ALPHA) * state + ALPHA * torch.tanh(drive + recurrent)
            (hr, hz, hn), (xr, xz, xn) = recurrent.chunk(3, -1), drive.chunk(3, -1)
            z = torch.sigmoid(hz + xz)
            return (1 - z) * torch.tanh(xn + torch.sigmoid(hr + xr) * hn) + z * state

        def forward(self, inputs: Any) -> Any:
            state, rates = torch.zeros(BATCH, HIDDEN, device=inputs.device), []
            for x in inputs.unbind(1):
                state = self.step(x, state)
                rates.append(state)
            return torch.stack(rates, 1)

    class Fused(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU}[model](BITS, HIDDEN, batch_first=True)

        def forward(self, inputs: Any) -> Any:
            return self.rnn(inputs)[0]

    def steps(network: Any, optimizer: Any, inputs: Any, targets: Any) -> int:
        for _ in range(5):
            optimizer.zero_grad()
            torch.mean((network(inputs) - targets) ** 2).backward()
            optimizer.step()
        if place == "cuda":
            torch.cuda.synchronize()
        return 5

    best = 0.0
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        network = torch.nn.Sequential(Cell() if by_hand else Fused(), torch.nn.Linear(HIDDEN, BITS)).to(place)
        optimizer = torch.optim.Adam(network.parameters(), RATE)
        inputs = torch.randn(BATCH, STEPS, BITS, device=place)
        targets = torch.sign(inputs)

        best = max(best, rate_of(functools.partial(steps, network, optimizer, inputs, targets), seconds / 2))
    return best


def one_rate(name: str, arguments: argparse.Namespace) -> float:
    """The rate of one contender, in this process."""
    model, members, seconds = arguments.model, arguments.members, arguments.seconds
    if name == "cohort":
        return cohort_rate(zoo_of(model, members, 10**9), seconds)
    if name == "loop":
        return loop(model, members, seconds)
    if name in ("vmap", "one"):
        return plain(model, members, seconds, mapped=name == "vmap")
    return torch_one(model, seconds, by_hand=name == "torch-cell", device=arguments.device)


def main() -> None:
    parser = parser_of(__doc__, JAX_PEERS, TORCH_PEERS)
    parser.add_argument("--model", choices=("rnn", "gru"), default="rnn")
    parser.add_argument("--members", type=int, default=64)
    arguments = parsed(parser)
    if arguments.here:
        print(json.dumps(one_rate(arguments.here, arguments)))
        return
    rates = in_turn(__file__, arguments, TORCH_PEERS, ("model", "members"))
    print(f"{arguments.members} {arguments.model}, {HIDDEN} units, {BATCH} trials x {STEPS} steps, Adam")
    medians = print_ratios(rates)
    if "loop" in medians and "cohort" in medians:
        print(f"the whole loop runs at {medians['loop'] / medians['cohort']:.1%} of the bare chunk's rate")


if __name__ == "__main__":
    main()
