"""A lesion is what zeroing a unit's outgoing weights is; silencing nothing or everything gives the scores one knows."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.assays import lesions
from analysis.assays._held_out import activity_moments
from analysis.zoo_assays import assay_zoo
from models import vanilla
from tests.analysis.assayed_zoo import population, vanilla_outputs
from zoo import Training, Zoo, train
from zoo.rules import reinforce
from zoo.tasks import Episode, bandit


@pytest.fixture(scope="module")
def every_unit() -> Any:
    """Every unit of the vanilla networks, one after the other."""
    return lesions.Assay(groups=99, controls=9).run(population("vanilla"))


def test_the_intact_score_is_that_of_the_member_table(every_unit: Any) -> None:
    given = population("vanilla")
    scores = given.trained.members.set_index("member").loc[given.members, "score"]
    np.testing.assert_allclose(every_unit["intact"], scores, atol=1e-6)
    assert (every_unit["trials"] == every_unit["held_out"]).all()


def test_a_lesion_is_what_zeroing_the_outgoing_weights_is(every_unit: Any) -> None:
    given = population("vanilla")
    trials = given.task.evaluation()
    for i, member in enumerate(given.members):
        params = given.trained.params(member)
        for group in (0, 4):
            unit = int(every_unit["silenced"][i, 0, group, 0])
            cut = {**params, "recurrent": params["recurrent"].copy()}
            cut["recurrent"][unit] = 0
            kernel = params["readout"]["kernel"].copy()
            kernel[unit] = 0
            cut["readout"] = {**params["readout"], "kernel": kernel}
            expected = given.task.score(jnp.float32(vanilla_outputs(cut, np.asarray(trials.inputs))), trials)
            np.testing.assert_allclose(every_unit["lesioned"][i, 0, group], expected, atol=1e-6)


def test_without_its_only_layer_a_network_puts_out_its_readout_bias(every_unit: Any) -> None:
    given = population("vanilla")
    trials = given.task.evaluation()
    for i, member in enumerate(given.members):
        bias = given.trained.params(member)["readout"]["bias"]
        outputs = jnp.broadcast_to(jnp.asarray(bias)[None, None], trials.targets.shape)
        np.testing.assert_allclose(every_unit["silent"][i, 0], given.task.score(outputs, trials), atol=1e-6)


def test_where_one_unit_carries_everything_only_its_lesion_costs_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    given, carrier = population("mlp"), 2
    read = given.trained.variables

    def planted(*args: Any, **settings: Any) -> Any:
        variables = read(*args, **settings)
        kernel = variables["params"]["readout"]["kernel"].copy()
        kernel[:, [unit for unit in range(3) if unit != carrier]] = 0
        return {**variables, "params": {**variables["params"], "readout": {"kernel": kernel, "bias": 0 * kernel[:, 0]}}}

    monkeypatch.setattr(given.trained, "variables", planted)
    whole = lesions.Assay(groups=3, controls=5, trials=10).run(given)
    assert whole["trials"].to_numpy().tolist() == [10, 10]  # at most as many as are asked for
    assert (whole["held_out"] == given.task.test_size).all()
    found = whole.sel(layer="dense2")
    for one in (found.isel(member=i) for i in range(2)):
        is_carrier = one["silenced"].to_numpy()[:3, 0] == carrier
        effect = one["effect"].to_numpy()[:3]
        assert (effect[~is_carrier] == 0).all()
        np.testing.assert_allclose(one["lesioned"].to_numpy()[:3][is_carrier], one["silent"])


def test_groups_are_cut_from_the_units_in_the_order_of_their_variance(every_unit: Any) -> None:
    given = population("vanilla")
    inputs = given.task.evaluation().inputs
    _, activity = given.trained.apply(given.members, inputs)
    variance = activity["rate"].reshape(2, -1, 5).var(1)
    pairs = lesions.Assay(size=2, controls=1, silence="mean").run(given)
    assert pairs["silenced"].shape == (2, 1, 2, 2)
    for i in range(2):
        order = np.argsort(-variance[i])
        assert every_unit["silenced"][i, 0, :, 0].to_numpy().tolist() == order.tolist()
        assert pairs["silenced"][i, 0].to_numpy().reshape(-1).tolist() == order[:4].tolist()
        np.testing.assert_allclose(every_unit["share"][i, 0], variance[i][order] / variance[i].sum(), rtol=1e-4)


def test_p_is_the_share_of_random_sets_that_cost_as_much(every_unit: Any) -> None:
    for i in range(2):
        at_random = every_unit["intact"][i].to_numpy() - every_unit["control"][i, 0].to_numpy()
        for group in range(5):
            exceed = (at_random >= every_unit["effect"][i, 0, group].to_numpy()).sum()
            np.testing.assert_allclose(every_unit["p"][i, 0, group], (1 + exceed) / 10)
        alone = set(np.round(every_unit["lesioned"][i, 0].to_numpy(), 6))
        assert set(np.round(every_unit["control"][i, 0].to_numpy(), 6)) <= alone  # one unit each, as the groups are


def test_units_at_their_mean_are_a_constant_and_a_group_larger_than_the_layer_is_the_layer() -> None:
    given = population("vanilla")
    found = lesions.Assay(size=50, controls=1, silence="mean").run(given)
    trials = given.task.evaluation()
    _, activity = given.trained.apply(given.members, trials.inputs)
    for i, member in enumerate(given.members):
        readout = given.trained.params(member)["readout"]
        output = activity["rate"][i].reshape(-1, 5).mean(0) @ readout["kernel"] + readout["bias"]
        expected = given.task.score(jnp.broadcast_to(jnp.asarray(output)[None, None], trials.targets.shape), trials)
        np.testing.assert_allclose(found["lesioned"][i, 0, 0], expected, atol=1e-6)
        np.testing.assert_allclose(found["lesioned"][i, 0, 0], found["silent"][i, 0])
    assert (found["size"] == 5).all()
    labelled = found.assign_coords(trained=("member", [True] * 2), probe_name=("member", ["flipflop"] * 2))
    labelled.attrs["name"] = "lesions(size=50)"
    (line,) = lesions.Assay(size=50).lines(labelled)
    assert line.startswith("flipflop at rate, score lost with 5 units: ")
    ((name, figure),) = lesions.Assay(size=50).figures(labelled)
    assert name == "flipflop"
    assert figure.axes[0].get_xlabel() == "group of 5 units, by variance"


def test_where_so_few_random_sets_allow_no_p_to_be_small_the_line_says_so_instead_of_counting(every_unit: Any) -> None:
    labelled = every_unit.assign_coords(trained=("member", [True] * 2), probe_name=("member", ["flipflop"] * 2))
    labelled.attrs["name"] = "lesions"
    (few,) = lesions.Assay(controls=18).lines(labelled)
    (enough,) = lesions.Assay(controls=19).lines(labelled)
    assert "at random, no p below 0.053)" in few
    assert "p <=" not in few
    assert "p <= 0.05 in 0 of 10 groups)" in enough


@pytest.mark.parametrize("shape", [(6, 5), (6, 3, 3)])
def test_units_are_ranked_by_the_time_steps_and_trials_that_count(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(*shape, 4)).astype(np.float32)
    mask = np.float32(np.random.default_rng(1).random(shape[: 4 - len(shape)]) < 0.6) * 2
    x[mask == 0] = np.nan
    mean, variance = activity_moments(jnp.asarray(x), jnp.asarray(mask))
    kept = x[mask > 0].reshape(-1, 4)
    np.testing.assert_allclose(mean, kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, kept.var(0), rtol=1e-5)


def test_networks_that_act_are_lesioned_while_they_act(tmp_path: Path) -> None:
    task = bandit.Task(arms=3, steps=4, eval_trials=12, probe_trials=4)
    training = Training(steps=2, batch=4, learning_rate=0.3)
    zoo = Zoo("acting", task=task, model=vanilla.Model(hidden=3), training=training, rule=reinforce.Rule(), seeds=2)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    found = assay_zoo(trained.path, lesions.Assay(controls=1), say=lambda line: None)
    found = found.isel(member=np.flatnonzero(found["trained"]))
    scores = trained.members.set_index("member").loc[found["member"].to_numpy(), "score"]
    np.testing.assert_allclose(found["intact"], scores, atol=1e-6)
    worlds = jax.vmap(lambda key: task.reset(jax.random.fold_in(key, task.steps))[0])(task.evaluation())
    for i, member in enumerate(found["member"].to_numpy().tolist()):
        arm = int(np.argmax(trained.params(member)["readout"]["bias"]))
        always = Episode(None, jnp.full((12, 4), arm), None, None, worlds)  # pyright: ignore
        np.testing.assert_allclose(found["silent"][i, 0], task.score(always), atol=1e-6)
