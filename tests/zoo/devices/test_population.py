"""A function runs over the members of a cohort as it would over each alone, with nothing of the padding left."""

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import vanilla
from tests.faults.rig import ROOT
from tests.zoo.small_zoos import TASK
from zoo import Training, Zoo, load, population_map, product, train
from zoo.devices import population
from zoo.devices.startup import lanes
from zoo.store.reader import Trained

SEVEN = Zoo(
    "seven",
    task=TASK,
    model=product(vanilla.Model, hidden=4, gain=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], continuous=True, tau=[20.0]),
    training=Training(steps=4, batch=4, evaluate_every=2),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(SEVEN, tmp_path_factory.mktemp("population") / "zoo", quiet=True, block=3, keep=9, save_every=1e-9)


def outputs(bound: Any, variables: Any, key: jax.Array, inputs: jax.Array) -> dict[str, jax.Array]:
    outputs, layers = bound.model.apply(variables, inputs)
    return {"outputs": outputs, "gain": bound.model.gain, "draw": jax.random.normal(key), **layers}


def test_each_members_result_is_its_own_models_also_in_calls_of_any_size(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = SEVEN.members[0].task.probe().inputs
    (cohort,) = SEVEN.cohorts
    ids, values = population_map(trained, cohort.id, outputs, [inputs])
    assert ids == [member.id for member in cohort.members]
    np.testing.assert_allclose(values["gain"], [m.model.gain for m in cohort.members], rtol=1e-6)
    assert len(np.unique(values["draw"])) == 7, "a key of its own each"
    for row, member in enumerate(ids):
        alone, layers = trained.model(member).apply(trained.variables(member), inputs)
        np.testing.assert_allclose(values["outputs"][row], alone, atol=2e-6)
        np.testing.assert_allclose(values["rate"][row], layers["rate"], atol=2e-6)
    for at_once in (1, 2, 3):
        monkeypatch.setattr(population, "MEMBERS_AT_ONCE", at_once)
        chex.assert_trees_all_equal(population_map(trained, cohort, outputs, [inputs]).values, values)


def test_double_precision_is_that_of_the_variables_the_floats_and_what_is_given(trained: Trained) -> None:
    def inexact(bound: Any, variables: Any, key: jax.Array, x: jax.Array) -> Any:
        return bound.model.apply(variables, x)[0], bound.model.gain, x

    inputs = np.asarray(SEVEN.members[0].task.probe().inputs, np.float64)
    (cohort,) = SEVEN.cohorts
    outputs, gain, given = population_map(trained, cohort, inexact, [inputs], dtype="float64").values
    assert {outputs.dtype, gain.dtype, given.dtype} == {np.dtype(np.float64)}
    single = population_map(trained, cohort, inexact, [inputs.astype(np.float32)]).values[0]
    assert 0 < np.abs(outputs - single).max() < 1e-5
    assert jnp.ones(()).dtype == np.float32, "outside, all is as it was"


def test_programs_that_solve_equations_run_one_at_a_time_on_a_cpu(trained: Trained) -> None:
    """Two of them would wait for each other's threads, for ever."""

    def solved(bound: Any, variables: Any, key: jax.Array, x: jax.Array) -> Any:
        a = jax.random.normal(key, (64, 32, 32)) + 9 * jnp.eye(32)[None]
        return jax.lax.fori_loop(0, 20, lambda i, y: jnp.linalg.solve(a, y), x)

    (cohort,) = SEVEN.cohorts
    assert np.isfinite(population_map(trained, cohort, solved, [np.ones((64, 32, 1), np.float32)]).values).all()


def test_batches_come_in_order_from_every_device_at_once_and_few_wait(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    together = threading.Barrier(2, timeout=60)
    run = population.Mapped.run

    def noted(self: Any, call: Any, *given: Any) -> Any:
        begun.append(call.start)
        if call.start < 2:
            together.wait()  # alone, neither would go on
        return run(self, call, *given)

    monkeypatch.setattr(population.Mapped, "run", noted)
    monkeypatch.setattr(population, "lanes", lambda: lanes()[:2])
    monkeypatch.setattr(population, "MEMBERS_AT_ONCE", 1)
    (cohort,) = SEVEN.cohorts
    batches = population.population_batches(trained, cohort, lambda bound, v, key: bound.model.gain)
    first = next(batches)
    assert first.members == [cohort.members[0].id]
    assert len(begun) <= 2
    np.testing.assert_allclose([first.values[0], *(b.values[0] for b in batches)], [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1])


def test_members_come_in_the_order_asked_for_with_their_rows_of_each(trained: Trained) -> None:
    (cohort,) = SEVEN.cohorts
    ids = [cohort.members[i].id for i in (5, 0, 3)]
    numbers = np.array([50.0, 0.0, 30.0])

    def sums(bound: Any, variables: Any, key: jax.Array, number: jax.Array) -> jax.Array:
        return number + bound.model.gain

    given = population_map(trained, cohort, sums, each=[numbers], members=ids)
    assert given.members == ids
    np.testing.assert_allclose(given.values, [50 + 1.0, 0 + 0.5, 30 + 0.8], rtol=1e-6)


def test_it_reads_the_untrained_networks_and_any_checkpoint(trained: Trained) -> None:
    (cohort,) = SEVEN.cohorts

    def weights(bound: Any, variables: Any, key: jax.Array) -> jax.Array:
        return variables["params"]["recurrent"]

    last, first, middle = (population_map(trained, cohort, weights, at=at).values for at in ("last", "initial", 2))
    np.testing.assert_array_equal(last, trained.params([m.id for m in cohort.members])["recurrent"])
    np.testing.assert_array_equal(first, trained.params([m.id for m in cohort.members], initial=True)["recurrent"])
    assert not np.array_equal(middle, first)
    assert not np.array_equal(middle, last)
    assert trained.steps(trained.members["member"]) == [0, 2, 4]


def test_the_key_comes_from_every_digit_of_the_id(trained: Trained) -> None:
    (cohort,) = SEVEN.cohorts
    ids, drawn = population_map(trained, cohort, lambda bound, variables, key: jax.random.key_data(key))
    for member, data in zip(ids, drawn):
        digits = int(member[-10:], 16)
        key = jax.random.fold_in(jax.random.key(digits >> 32, impl="threefry2x32"), digits & 0xFFFFFFFF)
        np.testing.assert_array_equal(data, jax.random.key_data(key))


def test_jax_is_started_as_the_directorys_recipes_ask(trained: Trained, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained.path, tmp_path / "zoo"))
    for file in (copy / "recipes.json", *copy.glob("cohorts/*/cohort.json")):
        file.write_text(re.sub(r'"threads": *\d+', '"threads": 3', file.read_text()))
    code = (
        "import sys; from zoo import load, population_map; from zoo.devices import startup;"
        "trained = load(sys.argv[1]);"
        "population_map(trained, trained.members['cohort'][0], lambda bound, variables, key: bound.model.gain);"
        "print(startup.threads())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    command = [sys.executable, "-c", code, str(copy)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.stdout.split() == ["3"], done.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (dict(cohort="flipflop-vanill"), "has no cohort 'flipflop-vanill'; "),
        (dict(members=["flipflop-vanilla-x"]), "has no member 'flipflop-vanilla-x'; ask for one cohort at a time"),
        (dict(members=[]), r"The members are \[\]; give ids of cohort flipflop-vanilla-\w+, or None for all"),
        (dict(each=[np.zeros(3)]), r"An array of `each` is \(3,\); its first axis must be the 7 members"),
        (dict(at=3), "has no checkpoint at step 3; it has 0, 2, 4"),
        (dict(at="lst"), "has no checkpoint at step 'lst'; it has 0, 2, 4"),
    ],
)
def test_what_cannot_be_mapped_is_refused_in_one_sentence(given: Any, sentence: str, trained: Trained) -> None:
    cohort = given.pop("cohort", SEVEN.cohorts[0])
    with pytest.raises(ValueError, match=sentence):
        population_map(trained, cohort, lambda *args: jnp.float32(0), **given)


def test_a_zoo_applies_its_members_to_inputs_of_ones_own(trained: Trained) -> None:
    ids = [member.id for member in SEVEN.members[:2]]
    inputs = np.random.default_rng(0).standard_normal((3, 25, 3)).astype(np.float32)  # longer trials than the task's
    outputs, layers = trained.apply(ids, inputs)
    assert outputs.shape == (2, 3, 25, 3)
    one, of_one = trained.apply(ids[1], inputs)
    np.testing.assert_array_equal(one, outputs[1])
    np.testing.assert_array_equal(of_one["rate"], layers["rate"][1])
    with pytest.raises(ValueError, match=r"inputs have shape \(3, 25, 2\), but must be trials of \(10, 3\)"):
        trained.apply(ids, inputs[..., :2])
    assert np.array_equal(
        load(trained.path).apply(ids, inputs, at="initial")[0], trained.apply(ids, inputs, at="initial")[0]
    )
