"""The pairwise engine beside its peers: CPU seconds, memory beyond the data, and the share of the matrix-product rate.

    python benchmarks/similarity.py peers     256 members, 500 stimuli, 128 units; about 3 minutes on 2 CPU cores
    python benchmarks/similarity.py large     1000 members, 1000 stimuli, 128 units, debiased CKA
    python benchmarks/similarity.py many      2000 members x 5 layers, all layers with all, killed once and resumed
    python benchmarks/similarity.py procrustes  tiles of singular values against a loop

Each contender runs in a process of its own. Loops over pairs are timed on a sample of pairs and scaled to all. Peers
need an environment that has them: --peer-python PYTHON, of `pip install rsatoolbox pytorch-cka torch==2.13.0`, and
`pip install --no-deps thingsvision`, of which only its CKA is loaded. `loop` is a loop over pairs in NumPy that centres
each representation once and multiplies the features of each pair, as netrep's LinearCKA does (netrep is on no index).
Peers that are not there are left out, and that is said.
"""

import argparse
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contenders import by_turns

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"peers": (256, 500, 128), "large": (1000, 1000, 128), "many": (2000, 1000, 128), "procrustes": (64, 500, 128)}
PAIRS = 60
"""A loop's sample."""


def data(members: int, stimuli: int, units: int, dtype: str = "float32") -> np.ndarray:
    """`(member, stimulus, unit)`: a part that all share, and noise."""
    draw = np.random.default_rng(0)
    shared = draw.standard_normal((stimuli, units), np.float32)
    x = draw.standard_normal((members, stimuli, units), np.float32)
    x += shared
    return x.astype(dtype)


def memory() -> float:
    """Peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """A call's result, CPU and wall seconds, and by how many MiB it raised the peak."""
    before, cpu, wall = memory(), time.process_time(), time.perf_counter()
    found = call()
    return found, {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "memory": memory() - before,
    }


# --- contenders: a name, and the values of all pairs or of a sample --------------------------------------------------


def ours(names: str, x: np.ndarray) -> Any:
    sys.path.insert(0, str(ROOT))
    from analysis.engine.all_pairs import similarities
    from analysis.engine.preparation import prepare_all
    from analysis.measures._choice import measure

    chosen = [measure(name) for name in names.split("+")]
    return lambda: similarities(prepare_all(chosen, [x[:, :, None]], str(x.dtype)))[-1].value


def loop(x: np.ndarray) -> Any:
    def all_pairs(pairs: np.ndarray) -> list[float]:
        centred = {i: x[i] - x[i].mean(0) for i in set(pairs.ravel().tolist())}
        own = {i: np.linalg.norm(z.T @ z) for i, z in centred.items()}
        return [float(np.sum((centred[a].T @ centred[b]) ** 2) / (own[a] * own[b])) for a, b in pairs]

    return all_pairs


def thingsvision(x: np.ndarray) -> Any:
    where = importlib.util.find_spec("thingsvision")
    folder = Path(str(next(iter(where.submodule_search_locations or [])))) / "core" / "cka"  # type: ignore[union-attr]
    for name in ("cka_base", "cka_numpy"):  # the package itself wants all that extracts features
        spec = importlib.util.spec_from_file_location(f"tv.{name}", folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"tv.{name}"] = module
        spec.loader.exec_module(module)
    peer = sys.modules["tv.cka_numpy"].CKANumPy(m=x.shape[1], kernel="linear", unbiased=False)
    return lambda pairs: [float(peer.compare(x[a], x[b])) for a, b in pairs]


def pytorch_cka(x: np.ndarray) -> Any:
    import torch
    from cka import cka_from_features

    stack = torch.from_numpy(x)
    return lambda: cka_from_features(stack, stack).numpy()


def rsatoolbox(x: np.ndarray) -> Any:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare, concat

    def stacked() -> np.ndarray:
        rdms = concat([calc_rdm(Dataset(one), method="correlation") for one in x])
        return compare(rdms, rdms, method="spearman")

    return stacked


CONTENDERS: dict[str, tuple[Callable[[np.ndarray], Any], str, str]] = {
    "biased + debiased CKA + RSA-Spearman, one pass": (
        lambda x: ours("cka(debiased=False)+cka+rsa", x),
        "",
        "rsa",
    ),
    "biased CKA": (lambda x: ours("cka(debiased=False)", x), "", "biased"),
    "debiased CKA": (lambda x: ours("cka", x), "", "debiased"),
    "RSA-Spearman": (lambda x: ours("rsa", x), "", "rsa"),
    "loop over pairs": (loop, "pairs", "biased"),
    "thingsvision CKA": (thingsvision, "pairs peer", "biased"),
    "pytorch-cka": (pytorch_cka, "peer", "debiased"),
    "rsatoolbox": (rsatoolbox, "peer", "rsa"),
}


def here(name: str, size: tuple[int, int, int], dtype: str, out: str) -> None:
    """One contender: figures to stdout as JSON, values to a file."""
    x = data(*size, dtype=dtype)
    make, how, _ = CONTENDERS[name]
    call = make(x)
    if "pairs" in how:
        pairs = np.random.default_rng(1).integers(0, len(x), (PAIRS, 2))
        call(pairs[:2])
        values, figures = timed(lambda: call(pairs))
        scale = len(x) * (len(x) - 1) / 2 / PAIRS
        figures |= {"cpu": figures["cpu"] * scale, "wall": figures["wall"] * scale, "first": float("nan")}
        np.savez(out, pairs=pairs, values=values)
    else:
        _, first = timed(call)
        values, figures = by_turns(lambda: timed(call), lambda result: result[1])
        figures |= {"first": first["cpu"], "memory": max(first["memory"], figures["memory"])}
        np.savez(out, values=values)
    print(json.dumps(figures))


def peers(size: tuple[int, int, int], dtype: str, peer_python: str | None) -> None:
    figures: dict[str, dict[str, float]] = {}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, (_, how, _)) in enumerate(CONTENDERS.items()):
            python = peer_python if "peer" in how else sys.executable
            if python is None:
                print(f"{name}: left out, no --peer-python")
                continue
            out = f"{folder}/{i}.npz"
            command = [python, __file__, "peers", "--here", name, "--dtype", dtype, "--out", out]
            command += ["--size", *map(str, size)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
            if done.returncode:
                print(f"{name}: left out ({done.stderr.strip().splitlines()[-1]})")
                continue
            figures[name] = json.loads(done.stdout.strip().splitlines()[-1])
            with np.load(out) as file:
                found[name] = {key: file[key] for key in file.files}
    print("{} members, {} stimuli, {} units, {}".format(*size, dtype))
    print(f"{'':<50}{'CPU s':>9}{'first':>8}{'wall s':>8}{'MiB':>7}{'x ours':>8}   largest difference")
    own = {kind: name for name, (_, how, kind) in CONTENDERS.items() if not how}
    own["rsa"] = "RSA-Spearman"
    for name, figure in figures.items():
        kind = CONTENDERS[name][2]
        line = f"{name:<50}{figure['cpu']:>9.2f}{figure['first']:>8.2f}{figure['wall']:>8.2f}{figure['memory']:>7.0f}"
        if name not in own.values() and CONTENDERS[name][1]:
            ratio = figure["cpu"] / figures[own[kind]]["cpu"]
            values = found[own[kind]]["values"]
            theirs = found[name]["values"]
            values = values[tuple(found[name]["pairs"].T)] if "pairs" in found[name] else values
            line += f"{ratio:>8.1f}   {np.abs(values - theirs).max():.0e}"
        print(line)


# --- sizes that peers do not reach -----------------------------------------------------------------------------------


def rate(members: int, entries: int) -> float:
    """The float32 matrix-product rate of this machine by JAX, operations per second, of a block of the walk."""
    import jax

    x = jax.numpy.asarray(np.random.default_rng(0).standard_normal((members, entries), np.float32))
    product = jax.jit(lambda a: jax.numpy.einsum("ae,be->ab", a, a, precision="highest"))
    product(x).block_until_ready()
    begin = time.perf_counter()
    for _ in range(3):
        product(x).block_until_ready()
    return 3 * 2 * members**2 * entries / (time.perf_counter() - begin)


def large(size: tuple[int, int, int]) -> None:
    members, stimuli, units = size
    x = data(*size)
    call = ours("cka", x)
    from analysis.engine.inner_products import block_size

    _, first = timed(call)
    values, figures = timed(call)
    block = block_size(members, stimuli, 1)
    count = -(-stimuli // block)
    operations = count * (count + 1) / 2 * block**2 * (2.0 * members**2 + 2 * members * units)
    fastest = rate(members, block**2)
    print("{} members, {} stimuli, {} units, debiased CKA, float32".format(*size))
    print(f"{figures['wall']:.1f} s of wall time, {figures['cpu']:.1f} CPU s")
    print(
        f"the call raised the peak memory by {first['memory'] + figures['memory']:.0f} MiB, to {memory():.0f};", end=" "
    )
    print(f"the data are {x.nbytes / 2**20:.0f}")
    reached = operations / figures["wall"]
    print(f"{reached / 1e9:.0f} of {fastest / 1e9:.0f} GFLOP/s of one product: {reached / fastest:.0%}")
    print(f"mean of pairs {np.triu(values, 1).sum() / (members * (members - 1) / 2):.4f}")


def many(size: tuple[int, int, int], layers: int, kill_after: float) -> None:
    """All layers with all in a process that is killed once, started again, and ends."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "many", "--here", "many", "--out", folder, "--layers", str(layers)]
        command += ["--size", *map(str, size)]
        begin = time.perf_counter()
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while time.perf_counter() - begin < kill_after and first.poll() is None:
            time.sleep(1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = [path.stat().st_size for path in Path(folder).glob("*.npz")]
        print(f"killed after {time.perf_counter() - begin:.0f} s; the journal holds {sum(kept) / 2**20:.0f} MiB")
        begin = time.perf_counter()
        subprocess.run(command, check=True, timeout=3600)
        print(f"resumed and done in {time.perf_counter() - begin:.0f} s")


def many_here(size: tuple[int, int, int], layers: int, folder: str) -> None:
    sys.path.insert(0, str(ROOT))
    from analysis.engine.all_pairs import similarities
    from analysis.engine.journal import Journal
    from analysis.engine.preparation import prepare
    from analysis.measures import cka

    members, stimuli, units = size
    draw = np.random.default_rng(0)
    x = draw.standard_normal((members * layers, stimuli, 1, units), np.float32)
    for one in x:
        one += x[0]
    begin = time.perf_counter()
    value = similarities([prepare(cka.Measure(), [x])], journal=Journal(Path(folder)))[0].value
    print(f"{members} members x {layers} layers, {stimuli} stimuli, {units} units: {value.shape}, finite", end=" ")
    print(f"{np.isfinite(value).all()}; {time.perf_counter() - begin:.0f} s here, peak {memory() / 1024:.1f} GiB")


def procrustes(size: tuple[int, int, int]) -> None:
    x = data(*size, dtype="float64").astype("float32")
    call = ours("procrustes", x)
    call()
    values, figures = timed(call)
    pairs = np.random.default_rng(1).integers(0, len(x), (PAIRS, 2))
    centred = (x - x.mean(1, keepdims=True)).astype(np.float64)
    centred /= np.linalg.norm(centred, axis=(1, 2), keepdims=True)
    begin = time.process_time()
    theirs = [np.linalg.svd(centred[a].T @ centred[b], compute_uv=False).sum() for a, b in pairs]
    scale = len(x) * (len(x) - 1) / 2 / PAIRS
    looped = (time.process_time() - begin) * scale
    print("{} members, {} stimuli, {} units, angular Procrustes".format(*size))
    print(f"{figures['cpu']:.1f} CPU s, {figures['wall']:.1f} s; loop over pairs {looped:.1f} CPU s")
    difference = np.abs(np.cos(values[tuple(pairs.T)]) - np.minimum(theirs, 1)).max()
    print(f"largest difference of the cosine {difference:.0e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(SIZES), nargs="?", default="peers")
    parser.add_argument("--size", type=int, nargs=3, metavar=("MEMBERS", "STIMULI", "UNITS"))
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--peer-python", help="an interpreter that has the peers")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--kill-after", type=float, default=150.0, help="seconds, of `many`")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    size = tuple(arguments.size or SIZES[arguments.part])
    if arguments.here == "many":
        many_here(size, arguments.layers, arguments.out)
    elif arguments.here:
        here(arguments.here, size, arguments.dtype, arguments.out)
    elif arguments.part == "peers":
        peers(size, arguments.dtype, arguments.peer_python)
    elif arguments.part == "large":
        large(size)
    elif arguments.part == "many":
        many(size, arguments.layers, arguments.kill_after)
    else:
        procrustes(size)


if __name__ == "__main__":
    main()
