"""Every device program lowers for TPU and CUDA, and compiles for a TPU, on a machine that has neither.

Programs run all at once here, as on accelerators.
"""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from analysis import representations
from analysis.zoo_assays import assay_zoo
from models import cnn, gru, vanilla
from zoo import Training, Zoo, lookup, train
from zoo.devices import population
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.devices.traced_functions import TracedFunction, traced_for
from zoo.spec.contracts import class_of
from zoo.tasks import bandit, digits, flipflop, targets

FLIPFLOP = flipflop.Task(steps=6, eval_trials=4, probe_trials=4)
TASKS = {"recurrent": FLIPFLOP, "feedforward": digits.Task(), "convolutional": digits.Task(shift=1.0)}
RULED = {"trials": targets.Task(steps=20), "environment": bandit.Task(steps=4, arms=2, eval_trials=4, probe_trials=4)}
SMALL: dict[str, dict[str, Any]] = {
    "cnn": dict(channels=(2,), dense=(3,), normalization="batch", dropout=0.2),
    "mlp": dict(layers=(3,)),
    "resnet": dict(channels=(2, 3), blocks=1),
}
TRAINING = Training(steps=4, batch=2, evaluate_every=2)


def of_model(name: str) -> Zoo:
    kind = class_of("model", name)
    model = kind(**SMALL.get(name, dict(hidden=3)))
    return Zoo("lowered", task=TASKS[kind.family], model=model, training=TRAINING, seeds=2)


def of_rule(name: str) -> Zoo:
    kind = class_of("rule", name)
    return Zoo("lowered", task=RULED[kind().takes], model=gru.Model(hidden=3), training=TRAINING, rule=kind(), seeds=2)


ZOOS = {f"model {name}": of_model(name) for name in lookup.names("model")}
ZOOS |= {f"rule {name}": of_rule(name) for name in lookup.names("rule")}
COMPILED = ["model vanilla", "model mlp", "model cnn", *(name for name in ZOOS if name.startswith("rule "))]


def executable(zoo: Zoo) -> Executable:
    (cohort,) = zoo.cohorts
    return Executable(cohort, Recipe(2, "vmap", "columns", 0))


def lower(traced: Any) -> None:
    for platform in ("tpu", "cuda"):
        assert "func.func public @main" in traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("name", ZOOS)
def test_training_lowers_for_tpu_and_cuda(name: str) -> None:
    for traced in executable(ZOOS[name]).traced():
        lower(traced)


def test_representations_and_every_assay_lower_for_tpu_and_cuda(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recurrent = Zoo("mapped", task=FLIPFLOP, model=vanilla.Model(hidden=3), training=TRAINING)
    images = Zoo("mapped", task=digits.Task(), model=cnn.Model(channels=(2,), dense=(3,)), training=TRAINING)
    trained = train(recurrent + images, tmp_path / "zoo", quiet=True)
    lowered = []

    def lowering(*args: Any) -> TracedFunction:
        traced = traced_for(*args)
        *_, shared, row = args
        if any(np.asarray(leaf).dtype == np.float64 for leaf in jax.tree.leaves(row)):
            return traced  # double precision is the CPU's, whatever there is beside it
        rows = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *np.shape(x)), jax.numpy.result_type(x)), row)
        lower(traced.program.trace(shared, rows))
        lowered.append(args)
        return traced

    monkeypatch.setattr(population, "traced_for", lowering)
    for task in ("flipflop", "digits"):
        representations(trained, task=task)
    assert len(lowered) == 2
    for name in lookup.names("assay"):
        before = len(lowered)
        assay_zoo(trained.path, name, "last", lambda line: None)
        assert len(lowered) > before, name


@pytest.mark.long
@pytest.mark.parametrize("name", COMPILED)
def test_training_compiles_ahead_of_time_for_a_tpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiler of the libtpu wheel."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("no TPU compiler: pip install libtpu")
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")  # nobody to ask what this machine is
    from jax.experimental import topologies

    topology = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2")
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
    for traced in executable(ZOOS[name]).traced(sharding):
        assert traced.lower().compile().memory_analysis() is not None
