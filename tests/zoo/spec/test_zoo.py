"""The spec: axes, ids, cohorts, JSON, and what it refuses."""

import json

import numpy as np
import pytest

from models import cnn, gru, vanilla
from zoo import Training, Zoo, log_uniform, product, sampled, uniform, zipped
from zoo.spec.encoding import differences
from zoo.spec.fields import fields_of
from zoo.spec.member import varied
from zoo.tasks import digits, flipflop, mnist


def small(**changes) -> Zoo:
    settings = dict(
        task=flipflop.Task(),
        model=product(vanilla.Model, hidden=[8, 16], activation=["tanh", "relu"]) + product(gru.Model, hidden=[8]),
        training=product(Training, learning_rate=[1e-3, 1e-2], l2=[0.0, 1e-5]),
        seeds=range(3),
    )
    return Zoo("small", **{**settings, **changes})


def test_members_are_the_product_of_task_model_training_and_seed() -> None:
    assert len(small().members) == 5 * 4 * 3


def test_a_float_varies_inside_a_cohort_and_everything_else_splits() -> None:
    found = small().cohorts
    assert [len(c.members) for c in found] == [12] * 5
    assert {"learning_rate", "l2"} <= set(found[0].traced["training"])
    assert len(small(training=product(Training, batch=[8, 16])).cohorts) == 10


def test_crossing_an_off_value_is_the_one_float_change_that_splits() -> None:
    noisy = small(model=product(vanilla.Model, noise=[0.0, 0.1, 0.2]))
    found = noisy.cohorts
    assert sorted("noise" in c.traced["model"] for c in found) == [False, True]
    assert sorted(len(c.members) for c in found) == [12, 24]


def test_an_id_depends_on_the_members_own_fields_and_seed_alone() -> None:
    one = {m.id for m in small(seeds=[1]).members}
    more = {m.id for m in (small(seeds=[5, 1, 7]) + Zoo("b", task=digits.Task(), model=gru.Model())).members}
    assert one < more
    assert len(one) == 20


def test_an_int_given_for_a_float_field_is_the_float() -> None:
    a = small(model=product(vanilla.Model, tau=[50]))
    b = small(model=product(vanilla.Model, tau=[50.0]))
    assert [m.id for m in a.members] == [m.id for m in b.members]


def test_one_value_for_all_layers_or_one_per_layer() -> None:
    def kernels(*values: object) -> list[object]:
        return [model.kernel for model in product(cnn.Model, kernel=list(values))]

    assert kernels(3, [3], (3,), [3, 3], [3, 5], (5, 3)) == [3, 3, 3, 3, (3, 5), (5, 3)]
    assert product(cnn.Model, kernel=(5, 3)) == product(cnn.Model, kernel=[(5, 3)])  # a tuple is one value
    assert len(product(cnn.Model, activation=["relu", ("relu", "tanh")])) == 2
    zoo = small(model=cnn.Model(kernel=(3, 1), normalization=("none", "batch")), task=digits.Task())
    assert Zoo.from_json(json.loads(json.dumps(zoo.to_json()))).members == zoo.members
    for value, words in [
        ([], "kernel is \\[\\]; it must be one int for all layers or a list of int"),
        ([3, 0], "kernel is .* above 0"),
        ("3", "kernel is '3'; it must be one int for all layers or a list of int"),
        ([3, 2.5], "kernel is .*; it must be an integer"),
    ]:
        with pytest.raises(ValueError, match=words):
            small(model=cnn.Model(kernel=value), task=digits.Task())


def test_the_task_of_a_whole_zoo_can_be_replaced() -> None:
    zoo = Zoo("a", task=digits.Task(), model=cnn.Model()) + Zoo(
        "a", task=digits.Task(shift=1.0), model=cnn.Model(), seeds=[5]
    )
    assert {m.task for m in zoo.replace("task", mnist.Task()).members} == {mnist.Task()}
    with pytest.raises(ValueError, match="it must be a task of the folder"):
        zoo.replace("task", "mnist")


def test_minus_zero_is_zero() -> None:
    a, b = (small(training=Training(l2=zero), seeds=[1]) for zero in (0.0, -0.0))
    assert [m.id for m in a.members] == [m.id for m in b.members]


def test_a_number_of_seeds_keeps_where_each_grid_starts() -> None:
    zoo = small(seeds=[0, 1]) + small(seeds=[10, 11, 12])
    assert [grid.seeds for grid in zoo.replace("seeds", 2).grids] == [(0, 1), (10, 11)]


def test_json_both_ways_gives_the_same_members() -> None:
    zoo = small() + small(model=vanilla.Model(hidden=32), seeds=[9])
    again = Zoo.from_json(json.loads(json.dumps(zoo.to_json())))
    assert [m.id for m in again.members] == [m.id for m in zoo.members]
    assert again == zoo


def test_zipped_pairs_and_sampled_draws_within_bounds_by_its_key() -> None:
    pairs = zipped(Training, learning_rate=[1e-3, 1e-2], steps=[10, 20], batch=8)
    assert [(t.learning_rate, t.steps, t.batch) for t in pairs] == [(1e-3, 10, 8), (1e-2, 20, 8)]
    draw = dict(learning_rate=log_uniform(1e-4, 1e-2), l2=uniform(0.0, 1.0), optimizer=["adam", "sgd"])
    drawn = sampled(Training, 400, key=1, **draw)
    rates = np.log10([t.learning_rate for t in drawn])
    assert drawn == sampled(Training, 400, key=1, **draw)
    assert drawn != sampled(Training, 400, key=2, **draw)
    assert rates.min() >= -4 and rates.max() <= -2  # noqa: PT018
    assert abs(rates.mean() + 3) < 0.1
    assert {t.optimizer for t in drawn} == {"adam", "sgd"}
    without = sampled(Training, 400, key=1, learning_rate=log_uniform(1e-4, 1e-2))
    assert [t.learning_rate for t in without] == [t.learning_rate for t in drawn]


def test_varied_fields_become_columns_prefixed_where_sections_share_a_name() -> None:
    zoo = small(
        task=product(flipflop.Task, noise=[0.1, 0.2]), model=product(vanilla.Model, noise=[0.1, 0.2], tau=[5, 6])
    )
    assert set(varied(zoo.members)) == {"task.noise", "model.noise", "tau", "learning_rate", "l2"}
    assert set(varied(small(training=product(Training, steps=[1, 2])).members)) >= {"training.steps"}


def test_replace_sets_a_field_where_it_is_and_keeps_equal_instances_once() -> None:
    zoo = small().replace("hidden", 32).replace("seeds", 2)
    assert {m.model.hidden for m in zoo.members} == {32}
    assert len(zoo.members) == 3 * 4 * 2


def test_differences_name_the_path() -> None:
    a, b = small().to_json(), small(seeds=range(4)).to_json()
    assert [path for path, _, _ in differences(a, b)] == ["grids[0].seeds"]


def test_every_traced_field_is_declared_float() -> None:
    for cls in (Training, vanilla.Model, flipflop.Task):
        for field in fields_of(cls).values():
            assert not field.traced or field.type is float


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
    from zoo.training.program import check

    found = architectures.zoo.cohorts
    assert len(found) == architectures.COUNT == 256
    assert {len(cohort.members[0].model.channels) for cohort in found} == {1, 2, 3, 4, 5, 6}
    for cohort in found[::32]:
        check(cohort)
    listed = json.dumps(architectures.zoo.to_json()["grids"][0]["model"], sort_keys=True)
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == "1d86ce12710b9e5f"
