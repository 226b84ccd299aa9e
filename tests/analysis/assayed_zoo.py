"""A zoo of two cohorts of two networks each, trained once a process, for tests of assays."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np

import run_zoo
from analysis.activations.probes import probes_of
from analysis.assays._assayed import Assayed
from models import mlp, vanilla
from zoo import Training, Zoo, load, lookup, train
from zoo.tasks import digits, flipflop

SETTINGS = Training(steps=20, batch=8, learning_rate=0.02, evaluate_every=10)
ZOO = Zoo(
    "assayed",
    task=flipflop.Task(bits=2, steps=8, eval_trials=24, probe_trials=8),
    model=vanilla.Model(hidden=5),
    training=SETTINGS,
    seeds=2,
) + Zoo("assayed", task=digits.Task(probe_images=20), model=mlp.Model(layers=(4, 3)), training=SETTINGS, seeds=2)


@functools.cache
def directory() -> Path:
    """Where it is; only read by tests: who writes takes a copy."""
    place = Path(tempfile.mkdtemp(prefix="assayed-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    train(ZOO, place / "zoo", quiet=True)
    return place / "zoo"


@functools.cache
def assayed() -> Path:
    """A copy of it under every assay, by the command line, with the options that each has by default; only read."""
    place = Path(tempfile.mkdtemp(prefix="assayed-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    shutil.copytree(directory(), place / "zoo")
    for name in lookup.names("assay"):
        assert run_zoo.main(["assay", str(place / "zoo"), name]) == 0
    return place / "zoo"


def population(model: str, at: str = "last") -> Assayed:
    """The networks of one model."""
    trained = load(directory())
    cohort = next(c for c in trained.zoo.cohorts if model in c.id)
    probe = next(p for p in probes_of(trained).values() if cohort.id in [c.id for c in p.cohorts])
    return Assayed(trained, cohort, [member.id for member in cohort.members], at, probe, {})


def vanilla_outputs(params: dict, inputs: np.ndarray) -> np.ndarray:
    """What a discrete vanilla network puts out, in float64 NumPy, `(trial, time, unit)`."""
    weights, bias = (np.float64(params["input"][name]) for name in ("kernel", "bias"))
    rate = np.zeros((len(inputs), len(bias)))
    rates = []
    for t in range(inputs.shape[1]):
        rate = np.tanh(rate @ np.float64(params["recurrent"]) + np.float64(inputs[:, t]) @ weights + bias)
        rates.append(rate)
    return np.stack(rates, 1) @ np.float64(params["readout"]["kernel"]) + np.float64(params["readout"]["bias"])
