"""The search for fixed points beside loops over networks, and whether more starts find more, on trained networks.

    python benchmarks/dynamics.py peers --model vanilla     64 networks of 64 units, 256 starts each, beside two loops
    python benchmarks/dynamics.py doubling                  256 starts against 512, of each of four cells

The networks are trained on the 3-bit flip-flop first, unless ZOOS (--zoos) holds them already.

`peers`: each contender in a process of its own, on the same networks from the same starts, visited states; seconds of
all networks with and without compilation.

    search      this program: all networks at once, with its rounds of starts between the points found
    one-round   the same, from the visited states alone
    jax-loop    one network after the other: Adam on the speed of all starts together, jitted once for all networks
    torch-loop  the same in PyTorch, as the field's tool does it (Golub & Sussillo 2018, JOSS 3:1003)

Both loops follow the published settings of that tool: q = |F(x) - x|^2 / 2, Adam at .05, times .7 every 500 steps,
until at every start q < 1e-12 or no change, or for 5,000 steps; ends within 1e-3 of one before are one, and those ten
times as far from the middle as the starts are none; then Jacobians in one batch, and their eigenvalues. They run over
--networks of the networks and are scaled to all, compilation not scaled.

The end of a loop is what this program's Newton method makes of it in double precision, if that counts as a fixed point:
how many there are, how many of this program's are among them, and how many are not among this program's.

`doubling`: the share of networks in which twice as many starts find no point that the first did not, and the sets
of points by unstable modes.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from fixed_point_loops import cell_step, jax_loop, of_one, torch_loop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

HIDDEN, BITS, STARTS = 64, 3, 256
CELLS = ("vanilla", "ugrnn", "gru", "lstm")
LOOPS = {"jax-loop": jax_loop, "torch-loop": torch_loop}
REACH = 10.0
NEAR = 1e-4
"""Two points of different searches are one within this part of the range."""


# --- networks and starts ----------------------------------------------------------------------------------------------


def trained(cell: str, folder: Path, members: int, steps: int) -> Any:
    """A zoo of one cohort, trained here unless it is there."""
    from models import gru, lstm, ugrnn, vanilla
    from zoo import Training, Zoo, load, train
    from zoo.tasks import flipflop

    model = {"vanilla": vanilla, "ugrnn": ugrnn, "gru": gru, "lstm": lstm}[cell].Model(hidden=HIDDEN)
    training = Training(learning_rate=2e-3, l2=1e-5, clip=1.0, schedule="cosine", batch=32, steps=steps)
    zoo = Zoo(cell, task=flipflop.Task(bits=BITS), model=model, training=training, seeds=members)
    train(zoo, folder / f"{cell}-{members}", quiet=True)
    found = load(folder / f"{cell}-{members}")
    solved = np.count_nonzero(found.members["status"] == "solved")
    print(f"{members} {cell} networks of {HIDDEN} units, {steps} steps: {solved} solve the task", flush=True)
    return found


def population(zoo: Any, cohort: Any = None) -> Any:
    """What an assay is given of a cohort, or of the only one."""
    from analysis.activations.probes import probes_of
    from analysis.assays._assayed import Assayed

    cohort = cohort or zoo.zoo.cohorts[0]
    (probe,) = probes_of(zoo).values()
    return Assayed(zoo, cohort, [member.id for member in cohort.members], "last", probe, {})


def visited(networks: Any, starts: int) -> Any:
    """Where networks are on the probe."""
    from analysis.dynamics.search import Range, visiting

    inputs = np.asarray(networks.probe.inputs)
    return Range(*networks.map(visiting(starts), [inputs, np.ones(inputs.shape[:2], np.float32)]))


def found_by(networks: Any, where: Any, rounds: int) -> list[Any]:
    """The fixed points of every network."""
    from analysis.dynamics import search

    settings = search.Settings(1, where.starts.shape[1], 0.0, REACH, rounds, networks.model.bounded)
    found = search.fixed_points(networks.map, networks.members, where, np.zeros((1, BITS)), settings)
    return [of_member[0] for of_member in found]


def strangers(states: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    """Which states are none of the others, `(state,)`."""
    distances = np.linalg.norm(states[:, None] - others[None], axis=-1)
    return distances.min(axis=1, initial=np.inf) > tolerance


# --- contenders, each in a process of its own -------------------------------------------------------------------------


def timed(call: Any) -> tuple[Any, dict[str, float]]:
    """A call's result, its wall and CPU seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    return result, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def here(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One contender's seconds, first call and second; its points go to a file."""
    from zoo.devices import startup

    startup.start()
    problem = dict(np.load(arguments.problem))
    if name in LOOPS:
        return _loop_here(name, arguments, problem)
    from analysis.dynamics.search import Range
    from zoo import load

    networks = population(load(Path(str(problem["zoo"]))))
    where = Range(*(problem[part] for part in Range._fields))
    rounds = 0 if name == "one-round" else 8
    _, first = timed(lambda: found_by(networks, where, rounds))
    found, second = timed(lambda: found_by(networks, where, rounds))
    np.savez(arguments.points, *(one.states for one in found))
    return {"first": first, "second": second, "networks": len(found)}


def _loop_here(name: str, arguments: argparse.Namespace, problem: Any) -> dict[str, Any]:
    search = LOOPS[name](arguments.model)
    count = min(arguments.networks, len(problem["starts"]))
    starts = problem["starts"].astype(np.float32)
    _, first = timed(lambda: search(of_one(problem, 0), starts[0]))
    ends, second = timed(lambda: [search(of_one(problem, i), starts[i]) for i in range(count)])
    np.savez(arguments.points, *(unique for unique, _ in ends))
    scale = len(starts) / count
    second = {kind: seconds * scale for kind, seconds in second.items()}
    compiled = {kind: max(first[kind] - second[kind] / len(starts), 0.0) for kind in first}
    first = {kind: second[kind] + compiled[kind] for kind in second}
    steps = float(np.mean([taken for _, taken in ends]))
    return {"first": first, "second": second, "networks": count, "steps": steps}


def exact(cell: str, problem: Any, member: int, ends: np.ndarray) -> np.ndarray:
    """The fixed points that ends are near, in double precision, each once."""
    import jax
    import jax.numpy as jnp

    from analysis.dynamics import newton, search, uniqueness

    scale = float(problem["scale"][member])
    if not len(ends):
        return ends
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        weights = {name: jnp.asarray(array, jnp.float64) for name, array in of_one(problem, member).items()}

        def flow(x: Any, inputs: Any) -> Any:
            return cell_step(cell, weights, x, jnp.tanh, jax.nn.sigmoid)

        roots = newton.polished(flow, jnp.asarray(ends, jnp.float64), jnp.zeros((len(ends), BITS)))
    states, speeds, steps, _ = map(np.asarray, roots)
    good = (speeds <= search.SPEED * scale) & (steps <= search.NEWTON_STEP * scale)
    groups = uniqueness.groups_of(states[good], search.SAME * scale)
    return states[good][uniqueness.of_each_group(groups, speeds[good])]


def peers(arguments: argparse.Namespace) -> None:
    """The search beside the loops."""
    with contextlib.ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cell, problem = arguments.model, temporary / "problem.npz"
        zoo = trained(cell, arguments.zoos or temporary, arguments.members, arguments.steps)
        networks = population(zoo)
        params = zoo.params(networks.members)
        nothing = np.zeros((arguments.members, HIDDEN), np.float32)
        np.savez(
            problem,
            zoo=str(zoo.path),
            recurrent=np.asarray(params["recurrent"]),
            drive=np.asarray(params["input"]["bias"]),
            bias=np.asarray(params.get("recurrent_bias", nothing)),
            **visited(networks, STARTS)._asdict(),
        )
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.only}
        for _ in range(arguments.rounds):
            for name in arguments.only:
                results[name].append(_in_process(name, arguments, problem, temporary))
        for name, rounds in results.items():
            print(_seconds(name, rounds, results.get("search")))
        _print_points(cell, dict(np.load(problem)), temporary, arguments.only)


def _in_process(name: str, arguments: argparse.Namespace, problem: Path, folder: Path) -> dict[str, Any]:
    words = ["peers", "--here", name, "--problem", problem, "--points", folder / f"{name}.npz"]
    words += ["--model", arguments.model, "--networks", arguments.networks]
    with tempfile.TemporaryDirectory() as cache:  # nothing is compiled before
        settings = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": cache}
        command = [sys.executable, __file__, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=settings)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _seconds(name: str, rounds: list[dict[str, Any]], ours: list[dict[str, Any]] | None) -> str:
    """A line: medians of the rounds, and how many times as long as ours."""
    words = [f"{name:<10}"]
    for which, what in (("first", "with compilation"), ("second", "without")):
        for kind in ("wall", "cpu"):
            seconds = np.median([result[which][kind] for result in rounds])
            words.append(f"{seconds:8.1f} s {kind}")
            if ours and ours is not rounds:
                words.append(f"({np.median([r[which][kind] / o[which][kind] for r, o in zip(rounds, ours)]):.1f} x)")
        words.append(f"{what};")
    if "steps" in rounds[0]:
        words.append(f"of {rounds[0]['networks']} networks, scaled; {rounds[0]['steps']:.0f} steps each")
    return " ".join(words)


def _print_points(cell: str, problem: Any, folder: Path, names: list[str]) -> None:
    """How many points each finds, of ours and beside them, in the networks that all of them searched."""
    found = {name: list(np.load(folder / f"{name}.npz").values()) for name in names}
    count = min(map(len, found.values()))
    for name, points in found.items():
        if name in LOOPS:
            found[name] = [exact(cell, problem, i, points[i]) for i in range(count)]
    ours, scales = found.get("search"), problem["scale"]
    for name, points in found.items():
        line = f"{name:<10} {np.mean([len(points[i]) for i in range(count)]):.1f} points a network"
        if ours is not None and name != "search":
            missed = sum(strangers(ours[i], points[i], NEAR * scales[i]).sum() for i in range(count))
            beside = sum(strangers(points[i], ours[i], NEAR * scales[i]).sum() for i in range(count))
            total = sum(len(ours[i]) for i in range(count))
            line += f": {(total - missed) / max(total, 1):.1%} of the search's, {beside} beside them"
        print(f"{line} ({count} networks)")


# --- twice the starts -------------------------------------------------------------------------------------------------


def doubling(arguments: argparse.Namespace) -> None:
    """Whether more starts find more, cell by cell."""
    from zoo import load
    from zoo.spec.fields import name_of

    with contextlib.ExitStack() as stack:
        folder = arguments.zoos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for cell in arguments.cells:
            if arguments.on:
                zoo = load(arguments.on)
                models: list[Any] = [cohort.members[0].model for cohort in zoo.zoo.cohorts]
                kinds = [(name_of(model), model.hidden, model.activation) for model in models]
                networks = population(zoo, zoo.zoo.cohorts[kinds.index((cell, HIDDEN, "tanh"))])
            else:
                networks = population(trained(cell, folder, arguments.members, arguments.steps))
            twice = visited(networks, 2 * STARTS)
            once = twice._replace(starts=twice.starts[:, :STARTS])
            few, many = (found_by(networks, where, 8) for where in (once, twice))
            fresh = [
                int(strangers(b.states, a.states, NEAR * scale).sum()) for a, b, scale in zip(few, many, twice.scale)
            ]
            none = sum(new == 0 for new in fresh)
            print(f"{cell}: {STARTS} more starts find nothing new in {none} of {len(fresh)} ({none / len(fresh):.0%})")
            if any(fresh):
                told = ", ".join(f"{new} beside {len(a.states)}" for new, a in zip(fresh, few) if new)
                print(f"  new points elsewhere: {told}")
            for kinds, number in Counter(map(_kinds, many)).most_common():
                print(f"  {number:3} x {' / '.join(map(str, kinds))} points of 0 / 1 / 2 ... unstable modes")


def _kinds(found: Any) -> tuple[int, ...]:
    """How many points have 0, 1, 2 ... unstable modes."""
    return tuple(np.bincount((np.abs(found.eigenvalues) > 1).sum(1)).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("peers", "doubling"))
    parser.add_argument("--zoos", type=Path, help="a folder in which trained networks are kept")
    parser.add_argument("--on", type=Path, help="a directory of the preset `flipflop`, for `doubling`")
    parser.add_argument("--members", type=int, help="networks: 64 of `peers`, 16 of `doubling`")
    parser.add_argument("--steps", type=int, default=1000, help="of training")
    parser.add_argument("--model", choices=("vanilla", "gru"), default="vanilla", help="of `peers`")
    parser.add_argument("--networks", type=int, default=4, help="that the loops run over")
    parser.add_argument("--rounds", type=int, default=1)
    everyone = ("search", "one-round", *LOOPS)
    parser.add_argument("--only", nargs="+", choices=everyone, default=list(everyone))
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="of `doubling`")
    for internal in ("--here", "--problem", "--points"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.members = arguments.members or {"peers": 64, "doubling": 16}[arguments.what]
    if arguments.here:
        print(json.dumps(here(arguments.here, arguments)))
    else:
        {"peers": peers, "doubling": doubling}[arguments.what](arguments)


if __name__ == "__main__":
    main()
