"""Zoos: members, ids, replacements, and what is refused."""

import importlib
import json

import numpy as np
import pytest

from models import cnn, gru, vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, Zoo, log_uniform, product, uniform, zipped
from zoo.tasks import digits, flipflop, mnist


def test_members_are_the_product_of_task_model_training_and_seed() -> None:
    assert len(small().members) == 5 * 4 * 3


def test_an_id_depends_on_the_members_own_fields_and_seed_alone() -> None:
    one = {m.id for m in small(seeds=[1]).members}
    more = {m.id for m in (small(seeds=[5, 1, 7]) + Zoo("b", task=digits.Task(), model=gru.Model())).members}
    assert one < more
    assert len(one) == 20


def test_the_task_of_a_whole_zoo_can_be_replaced() -> None:
    zoo = Zoo("a", task=digits.Task(), model=cnn.Model()) + Zoo(
        "a", task=digits.Task(shift=1.0), model=cnn.Model(), seeds=[5]
    )
    assert {m.task for m in zoo.replace("task", mnist.Task()).members} == {mnist.Task()}
    with pytest.raises(ValueError, match="it must be a task of the folder"):
        zoo.replace("task", "mnist")


def test_a_number_of_seeds_keeps_where_each_grid_starts() -> None:
    zoo = small(seeds=[0, 1]) + small(seeds=[10, 11, 12])
    assert [grid.seeds for grid in zoo.replace("seeds", 2).grids] == [(0, 1), (10, 11)]


def test_replace_sets_a_field_where_it_is_and_keeps_equal_instances_once() -> None:
    zoo = small().replace("hidden", 32).replace("seeds", 2)
    assert {m.model.hidden for m in zoo.members} == {32}
    assert len(zoo.members) == 3 * 4 * 2


SHARED: dict = {"training": Training(data="shared")}
EMPTY: dict = {"task": [], "model": [], "training": [], "seeds": [0]}

BAD = {
    "unknown field": (
        lambda: product(Training, lerning_rate=[1.0]),
        "no field 'lerning_rate'; the nearest is 'learning_rate'",
    ),
    "width": (lambda: product(gru.Model, hidden=[0]), "gru.Model.hidden is 0; it must be above 0"),
    "steps": (lambda: product(Training, steps=[-1]), "Training.steps is -1; it must be above 0"),
    "learning rate": (lambda: product(Training, learning_rate=0), "Training.learning_rate is 0; it must be above 0"),
    "too large": (lambda: product(Training, l2=[1e39]), "Training.l2 is 1e.39; it must be a finite float32 number"),
    "too small": (lambda: product(Training, learning_rate=[1e-50]), "must be a finite float32 number"),
    "huge": (lambda: product(Training, l2=[10**400]), "must be a finite float32 number"),
    "seeds are text": (lambda: small().replace("seeds", "abc"), "seeds is 'abc'; it must be how many"),
    "seeds are half": (lambda: small().replace("seeds", 1.5), "seeds is 1.5; it must be how many"),
    "seeds are none": (lambda: small().replace("seeds", 0), "seeds is 0; it must be how many"),
    "seed in json": (
        lambda: Zoo.from_json({"name": "x", "grids": [{**EMPTY, "seeds": ["0"]}]}),
        "A seed of zoo 'x' is '0'",
    ),
    "not finite": (
        lambda: product(Training, l2=[float("nan")]),
        "Training.l2 is nan; it must be a finite float32 number",
    ),
    "type": (lambda: product(Training, steps=[1.5]), "Training.steps is 1.5; it must be an integer"),
    "bool": (lambda: product(Training, steps=[True]), "Training.steps is True; it must be an integer"),
    "choice": (lambda: product(Training, optimizer="adm"), "must be one of 'adam', 'adamw', 'sgd'"),
    "activation": (lambda: product(vanilla.Model, activation="tan"), "the nearest is 'tanh'"),
    "lengths": (lambda: zipped(Training, steps=[1, 2], batch=[1, 2, 3]), "different lengths"),
    "bounds": (lambda: uniform(1, 0), "lower bound"),
    "log bounds": (lambda: log_uniform(0, 1), "positive"),
    "distribution": (lambda: product(Training, l2=uniform(0, 1)), "only sampled"),
    "no seeds": (lambda: small(seeds=[]), "is empty: it has no seeds"),
    "no models": (lambda: small(model=[]), "is empty: it has no model"),
    "not a model": (lambda: small(model="gru"), "must be a model"),
    "a class": (lambda: small(model=gru.Model), "must be a model"),
    "negative seed": (lambda: small(seeds=[-1]), "seed"),
    "twice": (lambda: small(seeds=[1, 1]).members, "Two members .* are the same: flipflop-vanilla-"),
    "name": (lambda: Zoo("../evil", task=flipflop.Task(), model=gru.Model()), "name is '../evil'"),
    "shared": (
        lambda: (
            (small(task=flipflop.Task(noise=0.1), **SHARED) + small(task=flipflop.Task(noise=0.2), **SHARED)).cohorts
        ),
        "flipflop.Task.noise varies",
    ),
    "unknown path": (
        lambda: small().replace("model.hiden", 3),
        "no field 'model.hiden'; the nearest is 'model.hidden'",
    ),
    "ambiguous path": (lambda: small().replace("steps", 3), "is in task and training"),
    "json": (lambda: Zoo.from_json({"name": "x"}), "is not a spec"),
    "json field": (
        lambda: Zoo.from_json({"name": "x", "grids": [{**EMPTY, "task": [{"name": "flipflop", "bit": 3}]}]}),
        "flipflop.Task has no field 'bit'; the nearest is 'bits'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_that_names_it(case: str) -> None:
    call, words = BAD[case]
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_sampled_architectures_are_different_fit_small_images_and_stay_the_same() -> None:
    import hashlib

    from zoo.presets import architectures
    from zoo.training.shapes import check

    found = architectures.zoo.cohorts
    assert len(found) == architectures.COUNT == 256
    assert {len(cohort.members[0].model.channels) for cohort in found} == {1, 2, 3, 4, 5, 6}
    for cohort in found[::32]:
        check(cohort)
    listed = json.dumps(architectures.zoo.to_json()["grids"][0]["model"], sort_keys=True)
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == "1d86ce12710b9e5f"


def test_more_members_than_anyone_has_are_refused_before_they_are_counted_out() -> None:
    large = small(model=vanilla.Model(hidden=3), training=Training(), seeds=10**6 + 1)
    with pytest.raises(ValueError, match="has 1000001 members; at most 1000000 are allowed"):
        _ = large.cohorts


def test_a_zoo_is_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("zoo.spec.zoo")
    expand, grids = module._expanded, []
    monkeypatch.setattr(module, "_expanded", lambda grid: grids.append(grid) or expand(grid))
    zoo = small() + small(seeds=[9])
    for _ in range(3):
        assert len(zoo.members) == len(zoo.homes) == len(zoo.by_id) == sum(len(c.members) for c in zoo.cohorts) == 80
    assert grids == list(zoo.grids)


def test_seeds_may_be_numpys_numbers() -> None:
    for seeds in (np.arange(3), [np.int64(0), 1, np.uint32(2)], np.int64(3)):
        zoo = small(seeds=seeds)
        assert zoo.grids[0].seeds == (0, 1, 2)
        assert {type(seed) for seed in zoo.grids[0].seeds} == {int}
    with pytest.raises(ValueError, match=r"A seed of zoo .* is 0\.5"):
        small(seeds=np.array([0.5]))


def test_hints_of_a_zoo_stand_once() -> None:
    zoo = small(training=product(Training, warmup=[5], steps=3, learning_rate=[1e-3, 1e-2]))
    assert len(zoo.hints) == 1
    assert small().hints == []


def test_several_values_where_one_stands_are_refused_with_what_makes_several() -> None:
    with pytest.raises(ValueError, match=r"number; product\(Training, learning_rate=\[\.\.\.\]\) gives a network for"):
        small(training=Training(learning_rate=[1e-3, 1e-2]))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"an integer; product\(vanilla\.Model, hidden=\[\.\.\.\]\) gives"):
        small(model=vanilla.Model(hidden=np.array([3, 4])))  # pyright: ignore[reportArgumentType]


def test_fields_that_classes_have_got_later_change_no_id_of_what_was_there_before() -> None:
    """The ids are those of version be8ebe0."""
    task = flipflop.Task(bits=2, steps=12, eval_trials=16, probe_trials=8)
    training = Training(steps=30, batch=8, l2=1e-4, rate_l2=1e-3, clip=1.0)
    current = vanilla.Model(hidden=6, continuous=True, leak="current", noise=0.1)
    zoo = Zoo("ids", task=task, model=[vanilla.Model(hidden=6), current, gru.Model(hidden=4)], training=training)
    assert [member.id for member in zoo.members] == [
        "flipflop-vanilla-7071d87e9f",
        "flipflop-vanilla-045a15f2a9",
        "flipflop-gru-d0a38160e1",
    ]
    text = json.dumps(zoo.to_json())
    assert not [name for name in ("recurrent_l1", "recurrent_nuclear") if name in text]
    others = [member.id for member in zoo.replace("recurrent_l1", 0.1).members]
    assert not set(others) & {member.id for member in zoo.members}
