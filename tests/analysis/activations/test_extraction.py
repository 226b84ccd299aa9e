"""Representations of a zoo: the model's own activations, reduced where they are made, on any images."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from analysis.activations.extraction import representations
from analysis.activations.probes import probes_of, shapes_of
from analysis.activations.spaces import parse
from analysis.activations.stimuli import Stimuli
from analysis.geometry.category_structure import classes_of, dissimilarities
from models import lstm, vanilla
from zoo import Training, Zoo, train
from zoo.devices import population
from zoo.devices.startup import lanes
from zoo.tasks import digits, flipflop
from zoo.training.binding import floats_of
from zoo.training.program import program_of


def items(found):
    """name -> pattern."""
    return {name: x for group in found.groups for name, x in zip(group.names, group.array)}


@pytest.mark.parametrize("space", ["mean", "units", "subset(7)", "subset(7, key=2)"])
def test_every_item_is_the_models_own_activation_reduced(zoo, space):
    found = representations(zoo, task="digits", untrained=True, space=space)
    assert found.space == space
    arrays, inputs = items(found), probes_of(zoo)["digits"].inputs
    members = zoo.members["member"][zoo.members["task"] == "digits"]
    assert len(arrays) == 2 * (3 * 3 + 3 * 2)
    for member in members:
        for state in ("", "/untrained"):
            _, layers = zoo.model(member).apply(zoo.variables(member, initial=bool(state)), inputs)
            for layer, x in layers.items():
                if layer.endswith(".pre"):
                    continue
                wanted = parse(space).reduce(np.asarray(x), layer) if x.ndim == 4 else x
                np.testing.assert_allclose(arrays[f"{member}/{layer}{state}"], wanted, atol=1e-5)


def of_flipflop(zoo, monkeypatch, mask):
    """Items and probe where trials of the probe count as a mask says."""
    real = flipflop.Task.probe

    def probe(self, data=None):
        return real(self, data)._replace(mask=jnp.asarray(mask, jnp.float32))

    monkeypatch.setattr(flipflop.Task, "probe", probe)
    return items(representations(zoo, task="flipflop")), probes_of(zoo)["flipflop"]


def test_time_steps_that_are_padding_of_one_trial_are_compared_of_none(zoo, monkeypatch):
    whole, probe = items(representations(zoo, task="flipflop")), probes_of(zoo)["flipflop"]
    assert whole
    padded, shorter = of_flipflop(zoo, monkeypatch, np.arange(6) < np.array([6, 4, 5, 6])[:, None])
    assert shorter.lasts.tolist() == [6, 4, 5, 6]
    assert shorter.id != probe.id, "networks on the one are not compared with those on the other"
    for name, x in whole.items():
        np.testing.assert_array_equal(padded[name], x[:, :4])


def test_time_steps_before_the_last_that_counts_belong_to_the_trial(zoo, monkeypatch):
    whole = items(representations(zoo, task="flipflop"))
    late, _ = of_flipflop(zoo, monkeypatch, np.tile([0, 0, 0, 0, 0, 1], (4, 1)))
    for name, x in whole.items():
        np.testing.assert_array_equal(late[name], x)


def test_a_trial_of_the_probe_that_never_counts_is_refused(zoo, monkeypatch):
    with pytest.raises(ValueError, match="Task flipflop: no time step of trial 2 of its probe counts"):
        of_flipflop(zoo, monkeypatch, np.arange(6) < np.array([6, 4, 0, 6])[:, None])


def test_items_of_many_cohorts_stand_in_the_order_of_the_members(zoo):
    members = zoo.members["member"].tolist()
    for group in representations(zoo, task="digits").groups:
        places = [members.index(name.split("/")[0]) for name in group.names]
        assert places == sorted(places)


def test_members_come_in_calls_whose_largest_layer_stays_within_the_budget(zoo, monkeypatch):
    whole = items(representations(zoo, ["conv1"], task="digits", space="units"))
    calls = []
    run = population.Mapped.run
    monkeypatch.setattr(
        population.Mapped, "run", lambda self, call, *given: calls.append(call.count) or run(self, call, *given)
    )
    room = 2 * 4 * (20 * 8 * 8 * 3 + 200)  # two members of the second model's conv1, and what is said of its structure
    monkeypatch.setattr(population, "RESULT_BYTES", room)
    monkeypatch.setattr(population, "lanes", lambda: lanes()[:1])
    parts = items(representations(zoo, ["conv1"], task="digits", space="units"))
    assert sorted(calls) == [1, 2, 3], "one call for the first model, two for the second"
    for name, x in whole.items():
        np.testing.assert_array_equal(parts[name], x)


def test_the_order_of_items_and_categories_does_not_follow_the_calls(zoo, monkeypatch):
    whole = representations(zoo, task="digits", untrained=True)
    monkeypatch.setattr(population, "RESULT_BYTES", 1)  # a call per member
    parts = representations(zoo, task="digits", untrained=True)
    assert [group.names for group in parts.groups] == [group.names for group in whole.groups]
    pd.testing.assert_frame_equal(parts.categories, whole.categories, rtol=1e-5)


def test_outputs_and_what_layers_were_before_their_nonlinearity_are_taken_by_name_only(zoo):
    shown = probes_of(zoo)["digits"]
    layers = list(shapes_of(shown.cohorts[0], shown.inputs))
    assert layers[:4] == ["conv1.pre", "conv1", "conv2.pre", "conv2"]
    assert "output" in layers
    by_default = representations(zoo, task="digits")
    assert {layer for group in by_default.groups for layer in group.labels["layer"]} == {"conv1", "conv2", "dense1"}
    found = representations(zoo, ["dense1.pre", "output", "conv2.pre"], task="digits")
    labels = pd.concat([group.labels for group in found.groups])
    deep = labels[labels["member"].isin(labels["member"][labels["layer"] == "conv2.pre"])]
    assert dict(zip(deep["layer"], deep["layer_depth"])) == {"conv2.pre": 1, "dense1.pre": 2, "output": 3}


def test_category_structure_comes_from_all_units_whatever_the_space(zoo):
    found = representations(zoo, task="digits", untrained=True, space="mean")
    table = found.categories
    assert len(table) == 2 * (3 * 3 + 3 * 2)
    units = items(representations(zoo, task="digits", untrained=True, space="units"))
    for row in table.to_dict("records"):
        name = f"{row['member']}/{row['layer']}" + ("" if row["trained"] else "/untrained")
        x = np.float64(units[name]).reshape(len(units[name]), -1)
        within, between = dissimilarities(x, classes_of(found.conditions["label"]), np)
        values = [row["within"], row["between"], row["index"]]
        np.testing.assert_allclose(values, [within, between, between - within], atol=1e-5)
    places = table[table["layer"] == "conv2"][["depth", "depth_fraction"]].drop_duplicates()
    assert places.to_numpy().tolist() == [[1, 0.5]]
    last = table[table["layer"] == "dense1"]
    assert set(zip(last["depth"], last["depth_fraction"])) == {(1, 1.0), (2, 1.0)}
    assert not len(representations(zoo, task="flipflop").categories), "trajectories have no patterns of units alone"


def own_images(zoo):
    """The probe's images as they come from a file."""
    task = digits.Task(probe_images=20)
    shown, data = probes_of(zoo)["digits"].inputs, task.data()
    every = np.asarray(task.stimuli(data["images"]))
    place = [int(np.abs(every - image).sum((1, 2, 3)).argmin()) for image in shown]
    return data["images"][place], data["labels"][place]


def test_a_tasks_own_images_from_a_file_give_its_own_representations(zoo):
    images, labels = own_images(zoo)
    own = representations(zoo, task="digits")
    found = representations(zoo, task="digits", probe=Stimuli(images, {"label": labels}))
    for name, x in items(own).items():
        np.testing.assert_allclose(items(found)[name], x, atol=1e-5)
    pd.testing.assert_series_equal(found.categories["index"], own.categories["index"], atol=1e-5)


def test_images_of_a_file_have_their_own_conditions_and_probe(zoo):
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), np.uint8)
    kind = np.array(["a", "b"] * 3)
    found = representations(zoo, probe=Stimuli(images, {"kind": kind}))
    assert all(group.array.shape[1] == 6 for group in found.groups)
    assert found.conditions["kind"].tolist() == kind.tolist()
    assert set(found.categories["condition"]) == {"kind"}
    assert "vanilla" not in {model for group in found.groups for model in group.labels["model"]}
    others = [
        representations(zoo, task="digits"),
        representations(zoo, probe=Stimuli(images, {"kind": kind[::-1]})),
        representations(zoo, probe=Stimuli(255 - images, {"kind": kind})),
    ]
    assert len({found.probe, *(other.probe for other in others)}) == 4


def test_what_cannot_be_represented_is_refused_in_one_sentence(zoo, tmp_path):
    stimuli = Stimuli(np.zeros((4, 9, 9), np.uint8), {})
    with pytest.raises(ValueError, match="Task flipflop cannot be shown the probe 'stimuli'"):
        representations(zoo, task="flipflop", probe=stimuli)
    with pytest.raises(ValueError, match="has 2 probes, digits, flipflop; choose one with task="):
        representations(zoo)
    with pytest.raises(ValueError, match=r"has no layer 'conv'; the nearest (is|are) 'conv"):
        representations(zoo, ["conv"], task="digits")
    with pytest.raises(ValueError, match="space is 'median'"):
        representations(zoo, task="digits", space="median")
    recurrent = Zoo(
        "memory",
        task=flipflop.Task(steps=6, eval_trials=4, probe_trials=4),
        model=vanilla.Model(hidden=3),
        training=Training(steps=1, batch=2),
        seeds=range(1),
    )
    with pytest.raises(ValueError, match="has no trained member whose task takes images"):
        representations(train(recurrent, tmp_path / "memory"), probe=stimuli)


def test_a_program_represents_whatever_inputs_it_is_given(zoo):
    (cohort, *_) = zoo.zoo.cohorts
    program = program_of(cohort)
    floats = jax.tree.map(lambda x: x[0], floats_of(cohort))
    state = jax.eval_shape(program.init, floats)
    shapes = jax.eval_shape(program.represent, state.variables, floats, np.zeros((5, 8, 8, 1), np.float32))
    assert {x.shape[0] for x in shapes.values()} == {5}


def test_the_state_of_an_lstm_is_h_and_c_where_it_is_named(tmp_path):
    spec = Zoo(
        "state", task=flipflop.Task(steps=6), model=lstm.Model(hidden=3), training=Training(steps=2, batch=2), seeds=2
    )
    trained = train(spec, tmp_path / "zoo", quiet=True)
    found = items(representations(trained, ["rate", "state"]))
    assert {name.split("/")[1] for name in items(representations(trained))} == {"rate"}
    for member in trained.members["member"]:
        rate, whole = found[f"{member}/rate"], found[f"{member}/state"]
        assert whole.shape == (*rate.shape[:2], 6)
        np.testing.assert_allclose(whole[..., :3], rate, atol=1e-6)
        assert np.abs(whole[..., 3:] - rate).max() > 1e-3
