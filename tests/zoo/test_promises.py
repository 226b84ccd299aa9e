"""Promises of training: what a member's bits depend on, what recompiles, what one bad member does to the others."""

import re
import threading
from typing import Any

import chex
import jax
import numpy as np
import pytest

from models import cnn, vanilla
from zoo import Training, Zoo, load, product, train
from zoo.devices import executable, startup
from zoo.devices.blocks import blocks_of, over_members
from zoo.devices.default_recipes import default_recipe
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.devices.startup import lanes
from zoo.tasks import digits, flipflop
from zoo.training.status import DIVERGED, RUNNING, STOPPED

RNN = Zoo(
    "rnn",
    task=flipflop.Task(steps=12, eval_trials=16, noise=0.1),
    model=product(vanilla.Model, hidden=8, noise=[0.05, 0.1]),
    training=product(Training, learning_rate=[1e-3, 1e-2], steps=12, batch=8, evaluate_every=5, clip=1.0),
    seeds=range(3),
)
CNN = Zoo(
    "cnn",
    task=digits.Task(shift=1.0, flip=0.5),
    model=cnn.Model(channels=(3, 4), dense=(6,), normalization="batch", dropout=0.2),
    training=product(Training, learning_rate=[1e-3, 1e-2], steps=8, batch=8, evaluate_every=3),
    seeds=range(3),
)
ZOOS = {"rnn": RNN, "cnn": CNN}


def bits(path: Any, members: list[str]) -> dict[str, Any]:
    """Variables of members after training, as host arrays."""
    trained = load(path)
    return {member: trained.variables(member) for member in members}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Both zoos, trained whole on one device."""
    paths = {}
    for name, zoo in ZOOS.items():
        paths[name] = tmp_path_factory.mktemp(name) / "zoo"
        train(zoo, paths[name], quiet=True, devices=lanes()[:1])
    return paths


@pytest.mark.parametrize(("name", "count"), [("rnn", 2), ("cnn", 4)])
def test_bits_do_not_depend_on_the_number_of_lanes(name: str, count: int, reference: Any, tmp_path: Any) -> None:
    train(ZOOS[name], tmp_path / "zoo", quiet=True, devices=lanes()[:count])
    members = load(reference[name]).members["member"].tolist()
    chex.assert_trees_all_equal(bits(tmp_path / "zoo", members), bits(reference[name], members))


@pytest.mark.parametrize(("name", "count"), [("cnn", 2), ("rnn", 4)])
def test_bits_on_several_devices_are_those_of_one(name: str, count: int, reference: Any, tmp_path: Any) -> None:
    train(ZOOS[name], tmp_path / "zoo", quiet=True, devices=jax.local_devices()[:count])
    members = load(reference[name]).members["member"].tolist()
    chex.assert_trees_all_equal(bits(tmp_path / "zoo", members), bits(reference[name], members))


@pytest.mark.parametrize("name", ZOOS)
def test_bits_do_not_depend_on_which_other_members_exist_or_on_place(name: str, reference: Any, tmp_path: Any) -> None:
    few = ZOOS[name].replace("seeds", [2, 9]).replace("learning_rate", 1e-2)
    trained = train(few, tmp_path / "zoo", quiet=True)
    members = sorted(set(trained.members["member"]) & set(load(reference[name]).members["member"]))
    assert members
    chex.assert_trees_all_equal(bits(tmp_path / "zoo", members), bits(reference[name], members))


@pytest.mark.parametrize("name", ZOOS)
def test_bits_do_not_depend_on_the_block_where_members_run_one_by_one(name: str, reference: Any, tmp_path: Any) -> None:
    train(ZOOS[name], tmp_path / "zoo", quiet=True, block=4)
    members = load(reference[name]).members["member"].tolist()
    assert load(tmp_path / "zoo").manifest["cohorts"] != load(reference[name]).manifest["cohorts"]
    chex.assert_trees_all_equal(bits(tmp_path / "zoo", members), bits(reference[name], members))


@pytest.mark.parametrize(("name", "inner"), [("rnn", 2), ("cnn", "vmap")])
def test_recipes_agree_within_tolerance(name: str, inner: str | int) -> None:
    # SGD: Adam would blow rounding up to full steps in biases before a normalisation, whose gradient is 0.
    cohort = (ZOOS[name].replace("optimizer", "sgd")).cohorts[0]
    states = [run(cohort, Recipe(4, how, "columns", startup.threads()), 3) for how in ("map", inner)]
    chex.assert_trees_all_close(states[0].params, states[1].params, rtol=1e-4, atol=1e-5)
    assert (states[0].step == states[1].step).all()


def test_convolution_forms_agree_within_tolerance() -> None:
    cohort = (CNN.replace("optimizer", "sgd")).cohorts[0]
    columns, native = (run(cohort, Recipe(2, "vmap", form, startup.threads()), 3) for form in ("columns", "native"))
    chex.assert_trees_all_close(columns.params, native.params, rtol=1e-4, atol=1e-5)


def run(cohort: Any, recipe: Recipe, steps: int) -> Any:
    """The first block after some steps and an evaluation, on the host."""
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    floats = jax.device_put(block.floats, device)
    return jax.device_get(program.advance(program.init(block, device), floats, device, steps, True))


@pytest.mark.parametrize("name", ZOOS)
def test_the_number_of_steps_in_a_call_changes_no_bit(name: str) -> None:
    cohort = (ZOOS[name]).cohorts[0]
    program, device = Executable(cohort, default_recipe(cohort)), jax.local_devices()[0]
    block = blocks_of(cohort, program.recipe)[0]
    floats = jax.device_put(block.floats, device)
    ends = []
    for calls in ([6], [1, 2, 3]):
        state = program.init(block, device)
        for steps in calls:
            state = program.advance(state, floats, device, steps, False)
        ends.append(jax.device_get(state))
    chex.assert_trees_all_equal(*ends)


@pytest.mark.parametrize("name", ZOOS)
def test_one_trace_of_the_chunk_serves_a_cohort_with_all_its_floats_and_devices(
    name: str, tmp_path: Any, monkeypatch: Any
) -> None:
    real = over_members
    monkeypatch.setattr(executable, "over_members", lambda f, r, s: chex.assert_max_traces(real(f, r, s), n=1))
    chex.clear_trace_counter()
    train(ZOOS[name], tmp_path / "zoo", quiet=True, block=1)


@pytest.mark.parametrize(("name", "inner"), [("rnn", "vmap"), ("cnn", "map")])
def test_the_compiled_chunk_has_no_collective_and_no_host_callback(name: str, inner: str) -> None:
    cohort = (ZOOS[name]).cohorts[0]
    program = Executable(cohort, Recipe(2, inner, "columns", startup.threads()))
    text = program.compiled(jax.local_devices()[0])[0].as_text()
    operations = set(re.findall(r" ([a-z][a-z0-9-]*)\(", text))
    targets = set(re.findall(r'custom_call_target="([^"]*)"', text))
    assert "while" in operations
    for word in ("all-", "collective", "reduce-scatter", "infeed", "outfeed", "send", "recv"):
        assert not [name for name in operations if name.startswith(word)], word
    assert not [name for name in targets if "callback" in name]


@pytest.mark.parametrize(("name", "inner"), [("rnn", "vmap"), ("cnn", "map")])
def test_a_diverged_member_is_frozen_at_its_last_finite_state_and_the_others_keep_their_bits(
    name: str, inner: str
) -> None:
    zoo = ZOOS[name].replace("learning_rate", 1e-3)
    if name == "rnn":
        zoo = zoo.replace("model.noise", 0.1)
    cohort = zoo.cohorts[0]
    recipe = Recipe(3, inner, "columns", startup.threads())
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    rates = block.floats.training["learning_rate"].copy()
    rates[1] = 1e30  # one step takes its parameters beyond float32
    wild = block.floats._replace(training={**block.floats.training, "learning_rate": rates})
    ends = {}
    for kind, floats in (("calm", block.floats), ("wild", wild)):
        start = program.init(block, device)
        first = jax.device_get(start)
        floats = jax.device_put(floats, device)
        ends[kind] = jax.device_get(program.advance(start, floats, device, 5, True))
    assert ends["wild"].status.tolist() == [RUNNING, DIVERGED, RUNNING]
    assert ends["wild"].step[1] < 5
    assert np.isfinite(np.concatenate([x[1].ravel() for x in jax.tree.leaves(ends["wild"].params)])).all()
    others = [0, 2]
    pick = lambda state: jax.tree.map(lambda x: x[others], state)  # noqa: E731
    chex.assert_trees_all_equal(pick(ends["wild"]), pick(ends["calm"]))
    if ends["wild"].step[1] == 0:
        chex.assert_trees_all_equal(
            jax.tree.map(lambda x: x[1], ends["wild"].params), jax.tree.map(lambda x: x[1], first.params)
        )


@pytest.mark.parametrize("inner", ["map", "vmap"])
def test_a_member_at_its_target_is_frozen_bit_for_bit(inner: str) -> None:
    zoo = CNN.replace("target", 0.01).replace("learning_rate", 1e-3)  # below chance: reached at the first evaluation
    cohort = zoo.cohorts[0]
    recipe = Recipe(2, inner, "columns", startup.threads())
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    floats = jax.device_put(block.floats, device)
    state = program.advance(program.init(block, device), floats, device, 3, True)
    stopped = jax.device_get(state)
    assert (stopped.status == STOPPED).all()
    chex.assert_trees_all_equal(jax.device_get(program.advance(state, floats, device, 3, True)), stopped)


def test_the_same_seed_starts_alike_under_every_traced_field() -> None:
    zoo = Zoo(
        "init",
        task=flipflop.Task(steps=8, eval_trials=8),
        model=product(vanilla.Model, hidden=8, tau=[10, 100], gain=[0.5, 1.5]),
        training=product(Training, learning_rate=[1e-3, 1e-2], steps=2, batch=4),
        seeds=[4],
    )
    cohort = zoo.cohorts[0]
    state = run(cohort, Recipe(8, "map", "columns", startup.threads()), 0)
    gains = np.asarray([m.model.gain for m in cohort.members])
    scaled = state.params["recurrent"] / gains[:, None, None]
    np.testing.assert_allclose(scaled, np.broadcast_to(scaled[:1], scaled.shape), rtol=1e-6, atol=1e-7)
    same = state.params["input"]["kernel"]
    assert (same == same[:1]).all()


@pytest.mark.parametrize("data", ["own", "shared"])
def test_own_data_follows_the_seed_and_shared_data_is_one_stream_for_all_cohorts(data: str) -> None:
    zoo = Zoo(
        "data",
        task=flipflop.Task(steps=8, eval_trials=8),
        model=vanilla.Model(hidden=4),
        training=product(Training, optimizer=["adam", "sgd"], steps=2, batch=4, data=data),
        seeds=range(2),
    )
    losses, params = [], None
    device = jax.local_devices()[0]
    for cohort in zoo.cohorts:
        program = Executable(cohort, Recipe(2, "map", "columns", startup.threads()))
        block = blocks_of(cohort, program.recipe)[0]
        state = program.init(block, device)
        # The same network everywhere: what is left to differ is the batch.
        params = params or jax.tree.map(lambda x: np.broadcast_to(np.asarray(x)[:1], x.shape), state.params)
        state = state._replace(params=jax.device_put(params, device))
        end = program.advance(state, jax.device_put(block.floats, device), device, 1, True)
        losses.append(np.asarray(end.train_loss).tolist())
    assert losses[0] == losses[1]
    assert (losses[0][0] == losses[0][1]) == (data == "shared")


def test_a_block_stops_when_asked_and_goes_on_to_the_same_bits(reference: Any, tmp_path: Any) -> None:
    from zoo.running.loaded_block import load_block
    from zoo.running.packing import Pack, train_pack
    from zoo.store.directory import Store

    cohort = CNN.cohorts[0]
    program, device = Executable(cohort, default_recipe(cohort)), jax.local_devices()[0]
    store, stop = Store(tmp_path / "zoo", CNN), threading.Event()
    block, folder = blocks_of(cohort, program.recipe)[0], None
    seen = []

    def tell(held: Any, taken: int) -> None:
        seen.append(taken)
        if len(seen) == 1:
            stop.set()

    folder = store.block(cohort.id, 0)
    for event in (stop, threading.Event()):
        unit = Pack(program, [load_block(program, block, folder, device)], device)
        train_pack(unit, save_every=60, stop=event, tell=tell)
        assert (0 < folder.steps()[-1] < 8) == (event is stop)
    assert folder.steps()[-1] == 8
    members = [m.id for m in cohort.members[: block.rows]]
    rows = folder.rows(8, range(block.rows), ["params"])["params"]
    whole = load(reference["cnn"]).params(members)
    chex.assert_trees_all_equal(rows, whole)
    assert folder.curves()["step"].tolist() == [0, 3, 6, 8]  # pyright: ignore[reportOptionalSubscript]
