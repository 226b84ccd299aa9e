"""Every task of trials in `zoo/tasks/` keeps its contract; then what is special to each."""

import dataclasses
import functools
import hashlib
import importlib
import typing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo.tasks
from models import STATIC
from tests.models.small_models import traced_fields as traced
from tests.models.small_models import two_values
from tests.zoo.tasks import class_targets
from zoo import lookup
from zoo.data import datasets
from zoo.data.datasets import CLASSES, Dataset
from zoo.spec.contracts import check_contract, class_of
from zoo.tasks import (
    cifar10,
    context,
    digits,
    discrimination,
    fashion_mnist,
    flipflop,
    integration,
    memory,
    mnist,
    reach,
    sine,
    targets,
)
from zoo.training.answers import check_task

NAMES = [name for name in lookup.names("task") if not zoo.tasks.is_environment(class_of("task", name))]
BATCH = 16


def noisy(task):
    """The task with every mechanism that has an off value switched on."""
    return dataclasses.replace(task, **{f.name: 0.5 for f in dataclasses.fields(task) if "off" in f.metadata})


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@functools.cache
def made(task, part: str, seed: int = 0, step: int = 0, batch: int = BATCH):
    """Trials of one part of a task, by one compiled program: made once for all tests that look at them."""
    data = task.data()
    if part != "sample":
        return jax.jit(getattr(task, part))(data)
    return program(task, batch)(jax.random.key(seed), step, data)


@functools.cache
def program(task, batch: int):
    return jax.jit(lambda key, step, data: task.sample(key, batch, step, data))


def perfect(task, trials):
    """Outputs that nothing is wrong with: the targets, or logits of the right class at every step."""
    if trials.targets.dtype == jnp.float32:
        return trials.targets
    steps = trials.mask.shape
    classes = trials.targets.reshape(steps if trials.targets.ndim == len(steps) else (-1, 1))
    return 30.0 * jax.nn.one_hot(jnp.broadcast_to(classes, steps), task.outputs)


def guesses(task, trials):
    """Outputs of networks that know nothing: constant ones, the targets' mean or any class, and random ones."""
    shape = (*trials.mask.shape, task.outputs)
    axes = tuple(range(trials.mask.ndim))
    constant = [trials.targets.mean(axes)] if trials.targets.dtype == jnp.float32 else jnp.eye(task.outputs)
    return [*(jnp.broadcast_to(one, shape) for one in constant), jax.random.normal(jax.random.key(9), shape)]


def stand_in(task) -> Dataset:
    """Random images and labels in the shapes of a published set, which would have to be downloaded."""
    random = np.random.default_rng(0)
    height, width, channels = task.input_shape
    shape = (height, width, channels) if channels == 3 else (height, width)
    few = random.integers(0, 256, (1009, *shape), dtype=np.uint8)
    parts = []
    for size in (task.train_size, task.test_size):
        parts += [few[np.arange(size) % 1009], random.permutation(np.arange(size, dtype=np.int32) % 10)]
    return Dataset(*parts, CLASSES[task.source])


@pytest.fixture(scope="module", autouse=True)
def _no_downloads():
    """Published sets are replaced by stand-ins of their shapes."""
    load, sets = datasets.load, {}

    def replaced(name, data_dir=None, batches=5):
        if name == "digits":
            return load(name)
        modules = {"mnist": mnist, "fashion_mnist": fashion_mnist, "cifar10": cifar10}
        if (name, batches) not in sets:
            fields = {"batches": batches} if name == "cifar10" else {}
            sets[name, batches] = stand_in(modules[name].Task(**fields))
        return sets[name, batches]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", replaced)
        yield


@pytest.fixture(scope="module")
def own_images(tmp_path_factory) -> str:
    """A file of images, as the task `images` needs it."""
    random, path = np.random.default_rng(1), tmp_path_factory.mktemp("images") / "mine.npz"
    np.savez(path, images=random.integers(0, 256, (3000, 6, 9), dtype=np.uint8), labels=np.arange(3000) % 7)
    return str(path)


@pytest.fixture(params=[*NAMES, "classes by step", "classes by trial"])
def task(request, own_images):
    if request.param.startswith("classes"):
        return class_targets.Task(by=request.param.split()[-1])
    cls = importlib.import_module(f"zoo.tasks.{request.param}").Task
    if request.param == "images":
        return cls(file=own_images)
    return cls(batches=1) if request.param == "cifar10" else cls()


def test_static_floats_are_marked():
    assert list(traced(flipflop.Task())) == ["pulse_rate", "noise"]
    assert STATIC in typing.get_type_hints(flipflop.Task, include_extras=True)["dt"].__metadata__


def test_is_a_frozen_dataclass_with_limits_on_its_numbers(task):
    check_contract("task", type(task))
    assert hash(task) == hash(dataclasses.replace(task))
    hints = typing.get_type_hints(type(task))
    for field in dataclasses.fields(task):
        if hints[field.name] in (int, float):
            assert field.metadata.get("limits"), f"{field.name} is declared with neither `setting` nor `off`"


def test_gives_what_its_contract_names_and_all_of_it_is_finite(task):
    check_task(task)
    assert 0 <= task.chance < task.solved <= 1
    for part in ("sample", "evaluation", "probe"):
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(made(task, part)))


def test_mask_weighs_every_trial(task):
    mask = np.asarray(made(task, "sample").mask)
    assert np.all(mask >= 0)
    assert np.all(mask.reshape(BATCH, -1).sum(axis=1) > 0)


def is_random(task) -> bool:
    """Whether anything of a task's trials is drawn."""
    return "random_bits" in str(
        jax.make_jaxpr(lambda key, data: task.sample(key, BATCH, 0, data))(jax.random.key(0), task.data())
    )


def test_trials_depend_on_key_and_step_alone(task):
    first = made(task, "sample", step=3)
    assert same(first, program(task, BATCH)(jax.random.key(0), 3, task.data()))
    if not is_random(task):
        return
    assert not same(first, made(task, "sample", step=4))
    assert not same(first, made(task, "sample", seed=1, step=3))


def test_a_program_and_plain_calls_agree_also_without_data_handed_in(task):
    plain = task.sample(jax.random.key(0), BATCH, 3)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(made(task, "sample", step=3)), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_targets_themselves_score_1_and_guesses_chance_at_a_higher_loss(task):
    trials = made(task, "sample", batch=4096) if is_random(task) else made(task, "evaluation")
    right, wrong = perfect(task, trials), guesses(task, trials)
    assert float(task.score(right, trials)) == pytest.approx(1, abs=1e-6)
    assert max(float(task.score(one, trials)) for one in wrong) == pytest.approx(task.chance, abs=0.04)
    assert float(task.loss(right, trials)) < min(float(task.loss(one, trials)) for one in wrong)


def test_masked_targets_do_not_count(task):
    trials = made(task, "sample")
    hidden = trials._replace(mask=trials.mask.at[BATCH // 2 :].set(0))
    outputs = perfect(task, trials)
    wrong = outputs.at[BATCH // 2 :].set(-outputs[BATCH // 2 :] + 3)
    for member in (task.loss, task.score):
        assert float(member(wrong, hidden)) == pytest.approx(float(member(outputs, hidden)), abs=1e-6)
        assert float(member(wrong, trials)) != pytest.approx(float(member(outputs, trials)), abs=1e-6)


def test_evaluation_is_fixed_and_held_out(task):
    held_out = made(task, "evaluation")
    assert same(held_out, jax.jit(dataclasses.replace(task).evaluation)(task.data()))
    assert not is_random(task) or not np.array_equal(held_out.inputs[:BATCH], made(task, "sample").inputs)


def test_no_traced_field_reaches_the_probe(task):
    """Members that differ in one could not be compared on it."""
    other = dataclasses.replace(task, **{name: float(two_values(field)[0]) for name, field in traced(task).items()})
    assert same(made(task, "probe"), jax.jit(other.probe)(task.data()))


def test_floats_are_traced_once(task):
    names = traced(task)
    if not names:
        pytest.skip("nothing of this task varies within a cohort")
    traces = []

    @jax.jit
    def cohort(floats, data):
        traces.append(1)

        def member(floats):
            mine = dataclasses.replace(task, **floats)
            trials = mine.sample(jax.random.key(0), BATCH, 0, data)
            wrong = guesses(mine, trials)[-1]
            return (trials, mine.loss(wrong, trials)), mine.score(perfect(mine, trials), trials)

        return jax.vmap(member)(floats)

    floats = {name: jnp.asarray(two_values(field))[jnp.array([0, 0, 1])] for name, field in names.items()}
    data = task.data()
    drawn, score = cohort(floats, data)
    cohort({name: 0.95 * value for name, value in floats.items()}, data)
    assert len(traces) == 1
    first, again, other = (jax.tree.map(lambda x, i=i: x[i], drawn) for i in range(3))
    assert same(first, again)
    assert not same(first, other)
    np.testing.assert_allclose(score, 1, atol=1e-6)

    def fixed(floats):
        mine = dataclasses.replace(task, **floats)
        return mine.evaluation(data).inputs, mine.probe(data).inputs

    held_out, probe = jax.eval_shape(jax.vmap(fixed), floats)
    assert held_out.shape[0] == probe.shape[0] == 3


def test_a_mechanism_at_its_off_value_is_not_compiled(task):
    def program(task):
        return str(jax.make_jaxpr(lambda key, data: task.sample(key, BATCH, 0, data))(jax.random.key(0), task.data()))

    without = program(task)
    for name, field in traced(task).items():
        if "off" in field.metadata:
            acting = program(dataclasses.replace(task, **{name: field.default + 0.5}))
            assert len(without) < len(acting), name
            assert without.count("random_bits") <= acting.count("random_bits"), name


# flipflop


def test_flipflop_holds_the_last_pulse():
    trials = made(flipflop.Task(), "sample")
    pulses, targets = np.asarray(trials.inputs), np.asarray(trials.targets)
    assert set(np.unique(pulses)) == {-1, 0, 1}
    assert np.all(pulses[:, 0] != 0)
    held = np.zeros((BATCH, 3))
    for t in range(100):
        held = np.where(pulses[:, t] != 0, pulses[:, t], held)
        np.testing.assert_array_equal(targets[:, t], held)
    np.testing.assert_array_equal(trials.conditions["state"], (held > 0) @ [1, 2, 4])
    np.testing.assert_array_equal(trials.conditions["pulses"], np.abs(pulses).sum((1, 2)))


def test_flipflop_pulses_come_at_their_rate_with_both_signs():
    def draw(rate):  # odd in every size: the last half word is left over
        return flipflop.Task(pulse_rate=rate, steps=101).sample(jax.random.key(1), 101).inputs[:, 1:]

    rates = [0.02, 0.3, 1.0]
    for rate, later in zip(rates, np.asarray(jax.jit(jax.vmap(draw))(jnp.array(rates))), strict=True):
        spread = np.sqrt(rate / later.size)
        assert abs(np.abs(later).mean() - rate) < 4 * spread
        assert abs(later.mean()) < 4 * spread


def test_flipflop_score_counts_signs_from_the_pulse_on():
    task = flipflop.Task()
    trials = made(task, "evaluation")
    assert float(task.score(0.01 * trials.targets, trials)) == 1
    late = jnp.roll(trials.targets, 1, axis=1).at[:, 0].set(trials.targets[:, 0])
    assert float(task.score(late, trials)) == pytest.approx(1 - task.pulse_rate / 2, abs=0.005)


def test_flipflop_probe_visits_all_states():
    assert set(np.asarray(made(flipflop.Task(), "probe").conditions["state"])) == set(range(8))


# sine


def test_sine_has_the_frequency_asked_for():
    task = sine.Task(frequencies=9, steps=500)
    probe = task.probe()
    np.testing.assert_allclose(probe.conditions["frequency"], np.linspace(1, 5, 9), rtol=1e-6)
    np.testing.assert_array_equal(probe.targets[:, 0], 0)
    spectrum = np.abs(np.fft.rfft(np.asarray(probe.targets)[..., 0], n=5000))
    peaks = np.fft.rfftfreq(5000, d=task.dt / 1000)[spectrum.argmax(axis=1)]
    np.testing.assert_allclose(peaks, np.linspace(1, 5, 9), atol=0.06)
    np.testing.assert_allclose(probe.targets.max(axis=(1, 2)), 1, atol=0.02)


def test_sine_is_cued_by_a_static_input_that_tells_frequencies_apart():
    inputs = np.asarray(sine.Task().probe().inputs)
    assert np.ptp(inputs, axis=1).max() == 0
    np.testing.assert_allclose(inputs[:, 0, 0], np.arange(1, 52) / 51 + 0.25, rtol=1e-6)


def test_sine_trials_visit_all_frequencies():
    task = sine.Task(frequencies=5)
    assert len(np.unique(made(task, "sample", batch=64).conditions["frequency"])) == 5
    assert len(jax.eval_shape(task.evaluation).inputs) == 5
    assert len(jax.eval_shape(noisy(task).evaluation).inputs) == task.eval_trials


def test_sine_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="must be below highest"):
        sine.Task(lowest=5.0, highest=2.0)
    with pytest.raises(ValueError, match="at most 10 Hz"):
        sine.Task(highest=12.0)


# context


def test_context_integrates_the_cued_stream_and_not_the_other():
    task = context.Task()
    trials = made(task, "sample")
    inputs, which = np.asarray(trials.inputs), np.asarray(trials.conditions["context"])
    assert set(which) == {0, 1}
    np.testing.assert_array_equal(inputs[:, :, 2:], np.repeat(np.eye(2)[which][:, None], 100, axis=1))
    cued = np.where(which[:, None] == 0, inputs[..., 0], inputs[..., 1])
    other = np.where(which[:, None] == 0, inputs[..., 1], inputs[..., 0])
    np.testing.assert_allclose(trials.targets[..., 0], np.cumsum(cued, axis=1) / 10, atol=1e-5)
    wrong = jnp.asarray(np.cumsum(other, axis=1) / 10, jnp.float32)[..., None]
    assert float(task.score(wrong, trials)) < 0.3


def test_context_cannot_be_solved_without_the_cue():
    task = context.Task()
    trials = made(task, "evaluation")
    both = jnp.cumsum(trials.inputs[..., :2].mean(axis=-1, keepdims=True), axis=1) / 10
    assert float(task.score(both, trials)) == pytest.approx(0.5, abs=0.12)


def test_context_evidence_has_the_means_and_the_noise_stated():
    trials = made(context.Task(), "evaluation")
    assert set(np.asarray(trials.conditions["coherence1"])) == set(np.float32(context.Task().coherences))
    for stream, name in enumerate(("coherence1", "coherence2")):
        rest = np.asarray(trials.inputs[..., stream] - trials.conditions[name][:, None])
        assert abs(rest.mean()) < 4 / np.sqrt(rest.size)
        assert abs(rest.std() - 1) < 4 / np.sqrt(2 * rest.size)


def test_context_noise_is_not_integrated():
    quiet, loud = made(context.Task(), "sample"), made(noisy(context.Task()), "sample")
    np.testing.assert_array_equal(quiet.targets, loud.targets)
    assert np.std(np.asarray(loud.inputs - quiet.inputs), axis=(0, 1)) == pytest.approx(0.5, abs=0.1)


def test_context_probe_crosses_the_design():
    task = context.Task(coherences=(-0.1, 0.1, 0.3), probe_repeats=2)
    conditions = made(task, "probe").conditions
    cells, counts = np.unique(np.stack([np.asarray(c) for c in conditions.values()]), axis=1, return_counts=True)
    assert cells.shape == (3, 18)
    assert np.all(counts == 2)


def test_context_refuses_no_coherence_and_equal_ones():
    for coherences in ((), (0.1, 0.1)):
        with pytest.raises(ValueError, match="coherences="):
            context.Task(coherences=coherences)


# reach


def test_reach_moves_as_flash_and_hogan_say():
    """From rest to rest with the least jerk: no acceleration at the ends, the peak of 1.875 times the mean halfway."""
    time = np.arange(-800, 401, 10)
    velocity, position = (np.asarray(reach.Task(output=kind).probe().targets) for kind in ("velocity", "position"))
    speed = np.linalg.norm(velocity, axis=-1)
    assert speed.shape == (8, 121)
    np.testing.assert_array_equal(speed[:, time <= 0], 0)
    np.testing.assert_allclose(speed.max(axis=1), 1.875, rtol=1e-6)
    assert set(time[speed.argmax(axis=1)]) == {200}
    np.testing.assert_allclose(np.diff(speed)[:, [80, -1]], 0, atol=0.02)
    travelled = np.cumsum(velocity, axis=1) * 10 / 400
    np.testing.assert_allclose(travelled, position, atol=0.03)
    angles = np.deg2rad(45 * np.arange(8))
    np.testing.assert_allclose(position[:, -1], np.stack([np.cos(angles), np.sin(angles)], axis=-1), atol=1e-6)


def test_reach_shows_the_direction_at_the_cue_and_releases_at_the_go():
    probe, time = reach.Task().probe(), np.arange(-800, 401, 10)
    np.testing.assert_array_equal(probe.conditions["direction"], 45 * np.arange(8))
    inputs = np.asarray(probe.inputs)
    np.testing.assert_array_equal(inputs[:, time < -600, :2], 0)
    np.testing.assert_allclose(np.linalg.norm(inputs[:, time >= -600, :2], axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(inputs[..., 2], np.broadcast_to(time < -250, (8, 121)))


def test_reach_refuses_times_out_of_order():
    with pytest.raises(ValueError, match="must be in this order"):
        reach.Task(cue=-200.0)
    with pytest.raises(ValueError, match=r"multiple of dt=7\.0 ms"):
        reach.Task(dt=7.0)


# targets


@pytest.mark.parametrize("dt", [2.0, 3.0])
def test_chaos_begins_at_the_same_time_whatever_the_time_step(dt):
    """Of these steps the network that makes it has the same: 1 ms."""
    fine = targets.Task(kind="chaos", signals=2, steps=60).data()["targets"]
    coarse = targets.Task(kind="chaos", signals=2, steps=20, dt=dt).data()["targets"]
    np.testing.assert_array_equal(coarse, fine[:, :: int(dt)][:, :20])


def test_chaos_never_comes_back_to_where_it_was():
    """On a cycle the last state would have been there before; the distance is over all units of the network."""
    states = targets.Task(kind="chaos", patterns=2, signals=200, steps=600, dt=10.0).data()["targets"]
    for trajectory in states:
        distance = np.sqrt(np.mean((trajectory[:-5] - trajectory[-1]) ** 2, axis=-1))
        assert distance.min() > 0.1


# discrimination


def test_discrimination_asks_for_the_sign_of_the_difference_after_the_delay_drawn():
    task = discrimination.Task(channels=2, difference=True)
    trials = made(task, "sample", batch=512)
    inputs, targets, mask = (np.asarray(x) for x in (trials.inputs, trials.targets, trials.mask))
    delays = np.asarray(trials.conditions["delay"]) / 10
    assert set(delays) == set(range(5, 21))
    for i in range(512):
        delay = int(delays[i])
        first, second = inputs[i, 0], inputs[i, 5 + delay]
        np.testing.assert_array_equal(inputs[i, :5], np.tile(first, (5, 1)))
        np.testing.assert_array_equal(inputs[i, 5 : 5 + delay], 0)
        np.testing.assert_array_equal(inputs[i, 5 + delay : 10 + delay], np.tile(second, (5, 1)))
        np.testing.assert_array_equal(inputs[i, 10 + delay :], 0)
        np.testing.assert_array_equal(np.flatnonzero(mask[i]), 10 + delay + np.arange(5))
        expected = [*np.sign(second - first), *np.abs(second - first) * 10 / 8]
        np.testing.assert_allclose(targets[i, 10 + delay : 15 + delay], np.tile(expected, (5, 1)), atol=1e-6)
    shown = np.unique(np.round(10 * inputs[inputs > 0], 4))
    np.testing.assert_array_equal(shown, np.arange(2, 11))


def test_discrimination_probe_has_every_pair_of_different_stimuli_once():
    conditions = made(discrimination.Task(channels=2), "probe").conditions
    pairs = set(zip(np.asarray(conditions["first"]).tolist(), np.asarray(conditions["second"]).tolist(), strict=True))
    assert len(pairs) == len(conditions["first"]) == 72
    assert all(first != second for first, second in pairs)
    assert set(np.asarray(conditions["delay"])) == {200}


def test_discrimination_refuses_what_it_cannot_show():
    with pytest.raises(ValueError, match="must be below highest"):
        discrimination.Task(lowest=5.0, highest=2.0)
    with pytest.raises(ValueError, match=r"shortest_delay=300\.0 ms must be at most longest_delay=200\.0 ms"):
        discrimination.Task(shortest_delay=300.0)
    with pytest.raises(ValueError, match=r"response=45\.0 ms must be a multiple of dt=10\.0 ms"):
        discrimination.Task(response=45.0)


# integration


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_integration_is_the_sum_of_the_displacements_and_stays_in_the_arena(dimensions):
    task = integration.Task(dimensions=dimensions, speed=40.0)
    trials = made(task, "sample", batch=256)
    inputs, targets = np.asarray(trials.inputs), np.asarray(trials.targets)
    assert inputs.shape == targets.shape == (256, 100, dimensions)
    np.testing.assert_allclose(np.cumsum(inputs, axis=1), targets, atol=1e-4)
    assert 4.5 < np.abs(targets).max() <= 5
    np.testing.assert_array_equal(trials.conditions["end"], (targets[:, -1] > 0) @ (2 ** np.arange(dimensions)))


def test_integration_shows_headings_of_length_1_and_speeds():
    velocity, heading = (made(integration.Task(motion=motion), "sample") for motion in ("displacement", "heading"))
    inputs = np.asarray(heading.inputs)
    np.testing.assert_array_equal(heading.targets, velocity.targets)
    np.testing.assert_allclose(np.linalg.norm(inputs[..., :2], axis=-1), 1, atol=1e-3)
    np.testing.assert_allclose(inputs[..., :2] * inputs[..., 2:], velocity.inputs, atol=1e-5)


def test_integration_moves_with_the_speed_and_the_persistence_stated_where_no_wall_is_near():
    task = integration.Task(dimensions=3, arena=1000.0, speed=4.0, persistence=100.0)
    velocity = np.asarray(made(task, "sample", batch=2048).inputs) * 100
    assert velocity.std() == pytest.approx(4, rel=0.02)
    assert velocity[:, 0].std() == pytest.approx(4, rel=0.04)
    for lag in (1, 10, 20):
        correlation = (velocity[:, lag:] * velocity[:, :-lag]).mean() / 16
        assert correlation == pytest.approx(np.exp(-lag / 10), abs=0.03)


def test_integration_is_a_mirror_at_the_walls():
    """Unfolded, a path is one of an arena without walls, step sizes kept but for those that touch a wall."""
    near, far = (made(integration.Task(dimensions=1, arena=a, speed=40.0), "sample") for a in (5.0, 1000.0))
    sizes, free = np.abs(np.asarray(near.inputs)), np.abs(np.asarray(far.inputs))
    touching = sizes < free - 1e-3
    assert 0 < touching.mean() < 0.1
    np.testing.assert_allclose(sizes[~touching], free[~touching], atol=1e-3)


# memory


@pytest.mark.parametrize(("delay", "post"), [(0.0, 0.0), (100.0, 0.0), (400.0, 30.0)])
def test_memory_has_the_times_and_the_loss_of_the_published_code(delay, post):
    """Cue 6, response 10 and at times 6 further steps; the last 10, or 16, weigh 1 - 10 / T, the others 10 / T."""
    task = memory.Task(delay=delay, post=post)
    trials = made(task, "sample", batch=4)
    late = 10 + round(post / 5)
    length = 6 + round(delay / 5) + late
    inputs, targets = np.zeros((4, length, 2)), np.zeros((4, length, 2))
    for i in range(4):
        inputs[i, :6, i % 2] = 1
        targets[i, length - late : length - late + 10, i % 2] = 1
    np.testing.assert_array_equal(trials.inputs[:, :length], inputs)
    np.testing.assert_array_equal(trials.inputs[:, length:], 0)
    np.testing.assert_array_equal(trials.targets[:, :length], targets)
    outputs = np.asarray(jax.random.normal(jax.random.key(1), trials.targets.shape))
    weights = np.where(np.arange(length) < length - late, late / length, 1 - late / length)
    expected = ((outputs[:, :length] - targets) ** 2 * weights[:, None]).mean()
    assert float(task.loss(outputs, trials)) == pytest.approx(expected, rel=1e-5)


def test_memory_of_every_delay_is_one_program():
    traces = []

    @jax.jit
    def weights(delay):
        traces.append(1)
        return memory.Task(delay=delay).sample(jax.random.key(0), 2).mask

    lengths = [zoo.tasks.lengths(weights(delay))[0] for delay in (0.0, 20.0, 400.0)]
    assert lengths == [16, 20, 96]
    assert len(traces) == 1


def test_memory_is_reliable_where_the_right_output_is_larger_by_1():
    task = memory.Task()
    trials = made(task, "evaluation")
    for size, reliability in ((1.0, 1.0), (3.0, 1.0), (0.2, 0.6), (0.0, 0.5)):
        accuracy, found = task.accuracy_and_reliability(size * trials.targets, trials)
        assert float(found) == pytest.approx(reliability)
        assert float(accuracy) == (1 if size else 0.5)
    assert float(task.score(-trials.targets, trials)) == 0
    assert float(task.score(0.2 * trials.targets, trials)) == pytest.approx(0.6)


def test_memory_refuses_a_delay_that_a_trial_has_no_room_for():
    with pytest.raises(ValueError, match=r"delay=500\.0 ms must be at most longest_delay=400\.0 ms"):
        memory.Task(delay=500.0)
    with pytest.raises(ValueError, match=r"cue=33\.0 ms must be a multiple of dt=5\.0 ms"):
        memory.Task(cue=33.0)


# images


def rows(images, labels) -> list[bytes]:
    return sorted(image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True))


def test_digits_split_is_random_and_shares_no_image():
    task, data = digits.Task(), digits.Task().data()
    train, test = data["labels"][: task.train_size], data["labels"][task.train_size :]
    assert (len(train), len(test)) == (1438, 359)
    stored = datasets.digits()
    assert rows(*stored) == rows(data["images"], data["labels"])
    # The classes' shares of both parts are those of the whole, give or take what chance allows.
    expected = np.bincount(stored[1]) * 0.2
    assert np.sum((np.bincount(test) - expected) ** 2 / expected) < 22
    assert not np.array_equal(data["labels"][:50], stored[1][:50])


@pytest.mark.parametrize("task", [mnist.Task(), cifar10.Task(batches=1)], ids=["mnist", "cifar10"])
def test_of_a_published_set_the_test_set_is_held_out(task):
    stored, data = task.dataset(), task.data()
    np.testing.assert_array_equal(data["images"][: task.train_size], stored.train_images)
    np.testing.assert_array_equal(data["labels"][: task.train_size], stored.train_labels)
    held_out = data["images"][task.train_size :], data["labels"][task.train_size :]
    assert len(held_out[1]) == 10_000
    assert rows(*held_out) == rows(stored.test_images, stored.test_labels)


def test_an_epoch_draws_every_training_image_once_and_no_other():
    task = digits.Task()
    data = task.data()
    # Images that carry their own number, in base 256, show which were drawn.
    marked = np.zeros((1797, 8, 8), np.uint8)
    marked[:, 0, 0], marked[:, 0, 1] = np.divmod(np.arange(1797), 256)
    draw = jax.jit(lambda step: task.sample(jax.random.key(0), 719, step, {**data, "images": marked}))
    drawn = []
    for step in range(2):
        trials = draw(step)
        pixels = np.asarray((trials.inputs[:, 0, :2, 0] * task.deviation[0] + task.mean[0]) * 255).round().astype(int)
        found = pixels @ [256, 1]
        np.testing.assert_array_equal(trials.targets, data["labels"][found])
        drawn.extend(found)
    assert sorted(drawn) == list(range(task.train_size))


def test_digits_are_normalised_by_the_training_images():
    task = digits.Task()
    inputs = task.sample(jax.random.key(0), task.train_size, 0, task.data()).inputs
    assert float(inputs.mean()) == pytest.approx(0, abs=0.005)
    assert float(inputs.std()) == pytest.approx(1, abs=0.005)


def test_colours_are_normalised_channel_by_channel():
    task = cifar10.Task(batches=1)
    data = task.data()
    inputs = np.asarray(task.probe(data).inputs)
    first = [np.flatnonzero(data["labels"][10_000:] == label)[:10] for label in range(10)]
    expected = data["images"][10_000 + np.concatenate(first)] / 255
    expected = (expected - np.array([0.4914, 0.4822, 0.4465])) / np.array([0.2470, 0.2435, 0.2616])
    np.testing.assert_allclose(inputs, expected, atol=1e-6)


def test_probe_holds_every_class_alike_up_to_its_limit():
    data = digits.Task().data()
    most = dataclasses.fields(digits.Task)[0].metadata["limits"]["most"]
    assert most == 10 * np.bincount(data["labels"][1438:]).min()
    for images in (10, 100, most):
        labels = np.asarray(digits.Task(probe_images=images).probe(data).conditions["label"])
        np.testing.assert_array_equal(labels, np.repeat(np.arange(10), images // 10))


@pytest.mark.parametrize("task", [digits.Task(), cifar10.Task(batches=1, probe_images=50)], ids=["digits", "cifar10"])
def test_probe_says_which_of_the_published_held_out_images_it_shows(task):
    trials, published = task.probe(task.data()), task.dataset()
    shown = published.test_images[task.places()]
    pixels = np.asarray(trials.inputs) * np.array(task.deviation) + np.array(task.mean)
    np.testing.assert_array_equal(np.rint(255 * pixels).reshape(shown.shape), shown)
    np.testing.assert_array_equal(published.test_labels[task.places()], trials.conditions["label"])


def test_a_trial_lasts_up_to_its_last_step_that_counts():
    mask = np.array([[0, 0, 1, 0], [1, 0.5, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]], np.float32)
    assert zoo.tasks.lengths(mask).tolist() == [3, 2, 4, 0]
    assert zoo.tasks.lengths(np.ones(3)).tolist() == [1, 1, 1], "an image is one step"


def test_digits_stay_the_digits_they_were():
    """Data, minibatches, evaluation set and probe: members of older zoos can be trained on and compared."""
    task, found = digits.Task(), hashlib.sha256()
    data = task.data()
    trials = [task.sample(jax.random.key(3), 64, 29, data), task.evaluation(data), task.probe(data)]
    for array in jax.tree.leaves([data["images"], data["labels"], *trials]):
        found.update(np.asarray(array).tobytes())
    assert found.hexdigest()[:16] == "98696882b15888f8"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flipflop", "per-bit accuracy"),
        ("digits", "accuracy"),
        ("images", "accuracy"),
        ("bandit", "1 - regret / regret at random"),
    ]
    + [(name, "R\u00b2") for name in ("context", "discrimination", "integration", "sine", "reach", "targets")],
)
def test_a_task_says_in_words_what_its_score_is(name: str, words: str) -> None:
    assert zoo.tasks.score_words(class_of("task", name)) == words


def test_a_task_that_does_not_say_what_its_score_is_or_its_conditions_are_has_their_names_and_values() -> None:
    task = type("Task", (), {"__module__": "zoo.tasks.mine"})()
    assert zoo.tasks.score_words(task) == "score on mine"
    assert zoo.tasks.condition_words(task, "side", 3) == "3"
    gone = type("Task", (), {"condition_words": lambda self, name, value: Path("/nowhere").read_text()})()
    assert zoo.tasks.condition_words(gone, "side", 3) == "3", "its names are in a file that is not here"


@pytest.mark.parametrize(
    ("task", "name", "value", "words"),
    [
        (flipflop.Task(bits=3), "state", 5, "+ - +"),
        (flipflop.Task(), "pulses", 7, "7 pulses"),
        (sine.Task(), "frequency", 1.25, "1.25 Hz"),
        (context.Task(), "context", 1, "integrate 2"),
        (context.Task(), "coherence1", 0.25, "mean +0.25"),
        (reach.Task(), "direction", 45.0, "45\u00b0"),
        (discrimination.Task(), "first", 2.0, "2 Hz"),
        (discrimination.Task(), "delay", 50.0, "50 ms"),
        (integration.Task(), "end", 2, "- +"),
        (memory.Task(), "cue", 0, "cue 1"),
        (targets.Task(), "pattern", 0, "pattern 1"),
        (cifar10.Task(), "label", 0, "airplane"),
        (class_of("task", "bandit")(), "best", 1, "arm 2"),
    ],
)
def test_a_condition_is_in_the_tasks_words(task, name: str, value: float, words: str) -> None:
    assert zoo.tasks.condition_words(task, name, value) == words
