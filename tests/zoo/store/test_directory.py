"""The zoo directory: what is in it, how it is read, what is refused."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from models import gru, vanilla
from zoo import Training, Zoo, load, lookup, product, train
from zoo.files import write_atomically
from zoo.store.checkpoints import BlockFolder
from zoo.store.manifest import read_manifest
from zoo.tasks import digits, flipflop

ROOT = Path(__file__).parent.parent.parent.parent
TASK = flipflop.Task(steps=10, eval_trials=8, probe_trials=8)
ZOO = Zoo(
    "store",
    task=TASK,
    model=[vanilla.Model(hidden=4), gru.Model(hidden=4)],
    training=product(Training, learning_rate=[1e-3, 1e-2], steps=6, batch=4, evaluate_every=2),
    seeds=range(3),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "zoo"
    train(ZOO, path, quiet=True, block=4)
    return path


def test_the_table_has_one_row_a_member_with_every_varied_field(path: Path) -> None:
    table = load(path).members
    assert table.columns.tolist() == [
        *("member", "cohort", "task", "model", "seed", "status", "steps", "loss", "score"),
        "learning_rate",
    ]
    assert len(table) == 12
    assert set(table["status"]) <= {"solved", "unsolved"}
    assert (table["steps"] == 6).all()
    assert np.isfinite(table[["loss", "score"]]).all(axis=None)


def test_the_manifest_says_spec_versions_hardware_recipe_and_precision(path: Path) -> None:
    manifest = read_manifest(path)
    assert Zoo.from_json(manifest["spec"]) == ZOO
    assert {"jax", "flax", "optax", "orbax-checkpoint", "python"} <= manifest["versions"].keys()
    assert manifest["hardware"]["platform"] == "cpu"
    for cohort in manifest["cohorts"].values():
        assert cohort["recipe"] == {"block": 4, "inner": "map", "conv_form": "columns", "threads": 4, "llvm": 1}
        assert cohort["precision"] == "highest"
        assert cohort["evaluate_every"] == 2


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
        "r = BlockFolder(f).rows(6, [1], ('params',)); assert r['readout']['bias'].shape == (1, 3);"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT, timeout=240)


def test_reading_parameters_starts_no_backend(path: Path) -> None:
    code = (
        "import sys; from zoo import load; z = load(sys.argv[1]); z.params(z.members['member'][3]);"
        "from jax._src import xla_bridge; assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=ROOT, timeout=240)


def test_old_checkpoints_go_and_step_0_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.devices.blocks import blocks_of
    from zoo.devices.default_recipes import default_recipe
    from zoo.devices.executable import Executable
    from zoo.running import packing
    from zoo.running.loaded_block import load_block

    monkeypatch.setattr(packing, "CALL_SECONDS", 1e9)  # calls of two steps, however slow the machine
    cohort = ZOO.cohorts[0]
    program = Executable(cohort, default_recipe(cohort))
    device, block = jax.local_devices()[0], blocks_of(cohort, program.recipe)[0]
    for kept, expected in ((2, [0, 4, 6]), (1, [0, 6]), (9, [0, 2, 4, 6])):
        folder = BlockFolder(tmp_path / str(kept), kept)
        held = load_block(program, block, folder, device)
        settings = dict(save_every=1e-9, stop=threading.Event(), tell=lambda held, taken: None)
        packing.train_pack(packing.Pack(program, [held], device), **settings)  # pyright: ignore[reportArgumentType]
        assert folder.steps() == expected


def test_the_same_command_again_trains_nothing_and_changes_nothing(path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in path.glob("cohorts/**/*") if p.is_file()}
    train(ZOO, path, quiet=True)
    assert {p: p.stat().st_mtime_ns for p in path.glob("cohorts/**/*") if p.is_file()} == before


def test_another_spec_is_refused_with_the_differing_fields(path: Path) -> None:
    with pytest.raises(ValueError, match=r"grids\[0\]\.training\[0\]\.steps is 6 there and 9 here"):
        train(ZOO.replace("training.steps", 9), path, quiet=True)


def test_a_file_a_foreign_folder_and_an_unknown_member_are_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        train(ZOO, tmp_path / "file", quiet=True)
    with pytest.raises(ValueError, match="files that are no zoo"):
        train(ZOO, tmp_path, quiet=True)
    assert (tmp_path / "file").read_text() == "x"
    with pytest.raises(ValueError, match="no zoo directory"):
        load(tmp_path)
    member = load(path).members["member"][0]
    with pytest.raises(ValueError, match=f"no member '{member}x'; the nearest .*'{member}'"):
        load(path).params(member + "x")
    with pytest.raises(ValueError, match="of 2 cohorts"):
        load(path).params(load(path).members["member"].tolist())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99, "spec": {}, "cohorts": {}}'])
def test_a_bad_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "zoo.json").write_text(content)
    with pytest.raises(ValueError, match=r"zoo\.json") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_writes_are_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "a", 3)  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "a").read_bytes() == b"one"


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


def test_a_directory_of_an_older_or_a_newer_version_is_refused_and_nothing_changes(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(path, tmp_path / "zoo"))
    manifest = json.loads((copy / "zoo.json").read_text())
    for number, word in ((1, "an older"), (99, "another")):
        (copy / "zoo.json").write_text(json.dumps({**manifest, "format": number}))
        before = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}
        for use in (load, lambda copy: train(ZOO, copy, quiet=True)):
            with pytest.raises(ValueError, match=rf"has format {number}, of {word} version of this program"):
                use(copy)
        after = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}
        assert after == before
