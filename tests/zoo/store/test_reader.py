"""The zoo directory while it is read: members, curves, parameters, as the spec and the blocks have them."""

import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pandas as pd
import pytest

from tests.faults.rig import ROOT
from tests.zoo.small_zoos import TASK, everyone
from zoo import Training, Zoo, load, lookup, train
from zoo.tasks import digits


def test_curves_start_untrained_and_have_a_row_per_evaluation(path: Path) -> None:
    curves = load(path).curves
    assert len(curves) == 12 * 4
    assert sorted(set(curves["step"])) == [0, 2, 4, 6]
    assert curves.query("step == 0")["train_loss"].isna().all()
    last = curves.query("step == 6").set_index("member")["loss"]
    table = load(path).members.set_index("member")["loss"]
    np.testing.assert_allclose(last[table.index], table, rtol=1e-6)


def test_one_members_parameters_are_its_row_of_the_block(path: Path) -> None:
    found = load(path)
    group = found.members[found.members["model"] == "gru"]["member"].tolist()
    together = found.params(group)
    for row, member in enumerate(group):
        chex.assert_trees_all_equal(found.params(member), jax.tree.map(lambda x, row=row: x[row], together))
    backwards = found.params(group[::-1])
    chex.assert_trees_all_equal(backwards, jax.tree.map(lambda x: x[::-1], together))


def test_initial_parameters_are_kept_and_the_same_seed_starts_alike(path: Path) -> None:
    found = load(path)
    alike = found.members.query("model == 'vanilla' and seed == 1")["member"].tolist()
    one, other = (found.params(member, initial=True) for member in alike)
    chex.assert_trees_all_equal(one, other)
    assert not np.array_equal(found.params(alike[0])["recurrent"], one["recurrent"])


def test_a_loaded_member_scores_as_the_table_says(path: Path) -> None:
    found = load(path)
    for member in found.members["member"][::5]:
        task = found.task(member)
        trials = task.evaluation()
        outputs, layers = found.model(member).apply(found.variables(member), trials.inputs)
        expected = found.members.set_index("member").loc[member, "score"]
        np.testing.assert_allclose(task.score(outputs, trials), expected, atol=1e-6)
        assert list(layers) == ["rate"]


def test_members_curves_and_parameters_are_read_without_jax(path: Path) -> None:
    code = (
        "import sys; from zoo import load; z = load(sys.argv[1]); m = z.members['member'][0]; len(z.curves);"
        "from zoo.store.checkpoints import BlockFolder; from pathlib import Path;"
        "f = next(Path(sys.argv[1]).glob('cohorts/*/0000'));"
        "r = BlockFolder(f).rows(6, [1], ['params'])['params']; assert r['readout']['bias'].shape == (1, 3);"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT, timeout=240)


def test_reading_parameters_starts_no_backend(path: Path) -> None:
    code = (
        "import sys; from zoo import load; z = load(sys.argv[1]); z.params(z.members['member'][3]);"
        "from jax._src import xla_bridge; assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT, timeout=240)


def test_a_path_through_a_parent_folder_reads_the_same(path: Path) -> None:
    member = load(path).members["member"][0]
    crooked = path / ".." / path.name
    chex.assert_trees_all_equal(load(crooked).variables(member), load(path).variables(member))


SMALL = {
    "cnn": dict(channels=(2,), dense=(3,), normalization="batch"),
    "mlp": dict(layers=(3,)),
    "resnet": dict(channels=(2, 3), blocks=1),
}


@pytest.mark.parametrize("name", lookup.names("model"))
def test_every_models_variables_come_back_as_the_model_takes_them(name: str, tmp_path: Path) -> None:
    kind = lookup.find("model", name).Model
    task = TASK if kind.family == "recurrent" else digits.Task()
    model = kind(**(dict(hidden=3) if kind.family == "recurrent" else SMALL.get(name, {})))
    zoo = Zoo("one", task=task, model=model, training=Training(steps=1, batch=2), seeds=2)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    member = trained.members["member"][1]
    inputs = task.probe(task.data()).inputs
    bound = trained.model(member)
    expected = jax.eval_shape(bound.init, jax.random.key(0), inputs)
    run = jax.jit(bound.apply)
    for initial in (True, False):
        variables = trained.variables(member, initial=initial)
        chex.assert_trees_all_equal_shapes(dict(variables), dict(expected))
        outputs, _ = run(variables, inputs)
        assert np.isfinite(outputs).all()


def test_a_sorted_member_table_does_not_give_a_member_anothers_parameters(four: Path, four_copy: Path) -> None:
    table = pd.read_csv(four_copy / "members.csv")
    table.iloc[::-1].to_csv(four_copy / "members.csv", index=False)
    chex.assert_trees_all_equal(everyone(four_copy), everyone(four))
