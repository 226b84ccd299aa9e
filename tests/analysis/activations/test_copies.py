"""One item for all copies of a network."""

import dataclasses

import chex
import numpy as np
import pandas as pd
import pytest

from analysis.activations.copies import COPY_COUNT, first_of_copies, merged
from analysis.activations.extraction import representations
from analysis.activations.types import Group, Representations
from analysis.comparison import compare
from models import vanilla
from zoo import Training, Zoo, product, train
from zoo.tasks import flipflop


def shown(activations: list[np.ndarray], **labels: list[object]) -> Representations:
    """Members 0, 1, ... of seed 0 at one layer."""
    count = len(activations)
    columns = {"member": [f"m{i}" for i in range(count)], "layer": ["rate"] * count, "trained": [True] * count}
    columns |= {"model": ["gru"] * count, "seed": [0] * count} | labels
    names = tuple(f"m{i}/rate" for i in range(count))
    return Representations((Group(names, pd.DataFrame(columns), np.stack(activations).astype(np.float32)),))


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    zoo = Zoo(
        "copied",
        task=flipflop.Task(steps=6, eval_trials=4, probe_trials=4),
        model=product(vanilla.Model, hidden=[3], noise=[0.0, 0.1]),
        training=product(Training, steps=[2], batch=[4], learning_rate=[1e-3, 1e-2]),
        seeds=range(2),
    )
    return train(zoo, tmp_path_factory.mktemp("copied") / "zoo", quiet=True)


def test_members_that_differ_in_training_and_noise_only_are_one_untrained_network(population):
    (group,) = representations(population, untrained=True).groups
    trained = group.labels["trained"].to_numpy(bool)
    assert trained.sum() == 8
    assert (group.labels[COPY_COUNT][trained] == 1).all()
    untrained = group.labels[~trained]
    assert untrained["seed"].tolist() == [0, 1]
    assert untrained[COPY_COUNT].tolist() == [4, 4]
    for field in ("model.noise", "learning_rate", "cohort"):
        assert untrained[field].isna().all(), "copies differ in it"
        assert not group.labels[field][trained].isna().any()
    assert set(untrained["model"]) == {"vanilla"}


def test_the_name_of_every_copy_leads_to_the_item_that_stands_for_it(population):
    found = representations(population, untrained=True)
    (group,) = found.groups
    assert len(found.copies) == 6
    for copy, name in found.copies.items():
        assert copy not in group.names
        member, other = copy.split("/")[0], name.split("/")[0]
        chex.assert_trees_all_equal(*(population.params(m, initial=True) for m in (member, other)))
        assert name in group.names


def test_every_member_has_a_network_that_stands_for_it_before_training_and_itself_after(population):
    found = representations(population, untrained=True)
    members = population.members["member"].tolist()
    before, after = (first_of_copies(found, members, trained) for trained in (False, True))
    assert after == dict(zip(members, members))
    assert {copy for copy, first in before.items() if copy != first} == {name.split("/")[0] for name in found.copies}
    kept = {name.split("/")[0] for name in found.groups[0].names}
    assert set(before.values()) <= kept


def test_a_comparison_of_untrained_networks_has_no_pair_of_copies(population):
    found = representations(population, untrained=True)
    items = compare(found, measures=["cka"])
    untrained = np.flatnonzero(~items["trained_a"].to_numpy().astype(bool))
    values = items["cka"].to_numpy()[np.ix_(untrained, untrained)]
    assert len(untrained) == 2
    assert values[0, 1] < 0.999


def test_copies_are_of_one_seed_model_and_state_and_equal_up_to_rounding():
    x = np.random.default_rng(0).standard_normal((5, 3))
    rounded = x * (1 + 3e-7)
    assert len(merged(shown([x, x, rounded])).groups[0].names) == 1
    assert len(merged(shown([x, x * 1.001])).groups[0].names) == 2
    for label, values in {"seed": [0, 1], "model": ["gru", "lstm"], "trained": [True, False]}.items():
        assert len(merged(shown([x, x], **{label: values})).groups[0].names) == 2, label


def test_what_is_not_finite_is_no_copy():
    x = np.full((5, 3), np.nan)
    assert len(merged(shown([x, x])).groups[0].names) == 2


def test_a_network_that_differs_at_one_layer_is_no_copy():
    draw = np.random.default_rng(0)
    first, second = (draw.standard_normal((3, 5, 2)) for _ in range(2))
    second[:, 0] = second[0, 0]
    one = shown([first[0], first[0], first[0]])
    later = shown([second[0], second[0], second[2]]).groups[0]
    later = Group(tuple(f"m{i}/late" for i in range(3)), later.labels.assign(layer="late"), later.array)
    groups = merged(dataclasses.replace(one, groups=(*one.groups, later))).groups
    assert [group.labels["member"].tolist() for group in groups] == [["m0", "m2"]] * 2
    assert [group.labels[COPY_COUNT].tolist() for group in groups] == [[2, 1]] * 2


def test_among_many_networks_of_one_seed_every_copy_is_found():
    draw = np.random.default_rng(0)
    distinct = draw.standard_normal((40, 6, 4))
    which = draw.integers(0, 40, 200)
    noise = 1 + 1e-7 * draw.standard_normal((200, 1, 1))
    found = merged(shown(list(distinct[which] * noise))).groups[0]
    assert len(found.names) == len(set(which))
    assert sorted(found.labels[COPY_COUNT]) == sorted(np.bincount(which)[np.bincount(which) > 0])
