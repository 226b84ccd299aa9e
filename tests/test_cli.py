"""The command line, as a user meets it: exit status, one sentence on stderr, the whole way through."""

import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import run_zoo
from analysis import artefacts
from analysis.labelled_comparison import Comparison
from zoo.data import datasets

SPEC = """
from models import cnn, gru, vanilla
from zoo import Training, Zoo, product
from zoo.tasks import digits, flipflop
recurrent = Zoo(
    "both", task=flipflop.Task(steps=8, eval_trials=8, probe_trials=8),
    model=product(vanilla.Model, hidden=[3, 5]) + product(gru.Model, hidden=[3, 5]),
    training=Training(steps=4, batch=4), seeds=range(2),
)
images = Zoo(
    "both", task=digits.Task(probe_images=10), model=cnn.Model(channels=(2,), dense=(4,), activation="tanh"),
    training=product(Training, l2=[0.0, 1e-4], steps=4, batch=4), seeds=range(2),
)
zoo = recurrent + images
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("spec") / "both.py"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture(scope="module")
def done(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "zoo"
    assert run_zoo.main(["run", spec, "--out", str(out)]) == 0
    return out


def test_run_trains_compares_and_draws_everything(done: Path) -> None:
    names = {p.name for p in (done / "figures").glob("*.png")}
    assert {"flipflop-rate-cka-heatmap.png", "flipflop-rate-rsa-mds.png", "digits-curves.png"} <= names
    assert {"digits-conv1-rdms.png", "digits-dense1-cka-heatmap.png"} <= names
    assert all((done / "figures" / name).stat().st_size > 5000 for name in names)
    assert {p.name for p in (done / "analysis").iterdir()} == {
        f"{task}{end}" for task in ("flipflop", "digits") for end in (".nc", "-rdms.nc", "-fields.csv", "-means.csv")
    }


def test_a_matrix_on_disk_has_labels_estimator_counts_and_chance(done: Path) -> None:
    result = artefacts.read_dataset(done / "analysis" / "flipflop.nc")
    assert result.sizes["a"] == 8 * 2
    for name in ("member", "layer", "trained", "model", "seed", "hidden", "units", "status", "score"):
        assert {f"{name}_a", f"{name}_b"} <= set(result.coords)
    attrs = result["cka"].attrs
    assert attrs["name"] == "cka(kernel=linear, debiased)"
    assert attrs["kind"] == "similarity"
    assert attrs["n_stimuli"] == 8
    assert attrs["chance"] == 0
    assert result.attrs["probe"]


def test_the_tests_on_disk_name_what_was_permuted(done: Path) -> None:
    tests = pd.read_csv(done / "analysis" / "flipflop-fields.csv")
    assert set(tests["field"]) == {"model", "hidden"}
    assert {"share", "p", "p_holm", "distinct", "smallest_p", "exchanged"} <= set(tests.columns)
    assert (tests["p"] >= tests["smallest_p"]).all()
    means = pd.read_csv(done / "analysis" / "flipflop-means.csv")
    assert {"trained", "untrained", "difference", "reference"} == set(means["state"])
    assert {"model", "hidden"} == set(means["groups"].dropna()), "references have none"


def test_run_prints_where_things_are_and_the_numbers_that_matter(done: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["report", str(done)]) == 0
    text = capsys.readouterr().out
    for words in (
        "flipflop: 8 members",
        "distinct permutations",
        "trained with untrained",
        "pictures in",
        "members.csv",
    ):
        assert words in text


def test_show_lists_members_and_one_members_fields(done: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["show", str(done)]) == 0
    member = pd.read_csv(done / "members.csv")["member"][0]
    assert member in capsys.readouterr().out
    assert run_zoo.main(["show", str(done), member]) == 0
    assert "hidden=3" in capsys.readouterr().out


def test_train_again_says_that_all_was_done(done: Path, spec: str, capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["train", spec, "--out", str(done)]) == 0
    assert "all was done before" in capsys.readouterr().out


def test_list_names_every_file(capsys: pytest.CaptureFixture) -> None:
    from zoo import lookup

    assert run_zoo.main(["list"]) == 0
    text = capsys.readouterr().out
    for kind in lookup.FOLDERS:
        assert all(f"  {name} " in text for name in lookup.names(kind))


def test_dry_run_prints_the_plan_and_writes_nothing(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.running.planning.MOST_MEASURED", 1)
    assert run_zoo.main(["run", spec, "--out", str(tmp_path / "no"), "--dry-run", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "6 members in 5 cohorts" in out
    assert "l2: 0, 0.0001 (2 values)" in out.splitlines()  # what was drawn would be seen here
    assert not (tmp_path / "no").exists()


def test_the_task_can_be_another_with_fields_of_its_own(spec: str) -> None:
    from zoo.tasks import digits

    zoo = run_zoo.read_spec(spec, [("task.shift", "1")], "digits")
    assert {member.task for member in zoo.members} == {digits.Task(shift=1.0)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("architectures", ["256 different", "512 members in 256 cohorts", "normalization"]),
        ("cnn", ["--model.kernel", "padded", "divisive"]),
        ("cifar10", ["--task.batches", "--task.flip"]),
        ("training", ["--training.learning_rate"]),
        ("cka", ["polynomial", "bandwidth", "By default cka(kernel=linear, debiased)"]),
    ],
)
def test_list_describes_what_it_names(name: str, words: list[str], capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["list", name]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in words)


def test_list_shows_one_models_fields(capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["list", "vanilla"]) == 0
    text = capsys.readouterr().out
    assert "--model.tau" in text
    assert "0 is off" in text


def test_a_relative_directory_works(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--seeds", "1", "--model.hidden", "3", "--training.l2", "0.0"]
    assert run_zoo.main(["train", spec, "--out", "zoos/small", *flags]) == 0
    assert run_zoo.main(["show", "zoos/small"]) == 0


BROKEN = {
    "syntax": ("zoo = (", "line 1: SyntaxError"),
    "error": ("x = 1\n1 / 0", "line 2: ZeroDivisionError"),
    "import": ("from models import grru", "line 1: ImportError"),
    "field": ("from models import gru\ngru.Model(hiden=3)", "line 2: .*'hiden'; the nearest is 'hidden'"),
    "value": ("from zoo import Training, product\nproduct(Training, steps=0)", "line 2: Training.steps is 0"),
    "nothing": ("x = 1", "must define `zoo`"),
    "misfit": (
        "from models import cnn\nfrom zoo import Zoo\nfrom zoo.tasks import flipflop\n"
        "zoo = Zoo('x', task=flipflop.Task(), model=cnn.Model())",
        "cnn.Model cannot be trained on flipflop.Task",
    ),
    "rule": (
        "from models import gru\nfrom zoo import Zoo\nfrom zoo.rules import force\nfrom zoo.tasks import digits\n"
        "zoo = Zoo('x', task=digits.Task(), model=gru.Model(), rule=force.Rule)",
        "The zoo's rule is <class .*force.Rule.*it must be a rule of the folder zoo.rules",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_spec_file_is_one_sentence_and_leaves_nothing(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    content, words = BROKEN[case]
    (tmp_path / "broken.py").write_text(content)
    assert run_zoo.main(["train", str(tmp_path / "broken.py"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert re.search(words, error), error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


BAD = {
    "preset": (["train", "demoo", "--out", "OUT"], "Unknown preset 'demoo'; the nearest is 'demo'"),
    "file": (["train", "no/such.py", "--out", "OUT"], "no/such.py is no file"),
    "field": (["train", "demo", "--out", "OUT", "--model.hiden", "3"], "no field 'model.hiden'"),
    "value": (["train", "demo", "--out", "OUT", "--training.steps", "0"], "Training.steps is 0"),
    "type": (["train", "demo", "--out", "OUT", "--training.steps", "many"], "Training.steps is 'many'"),
    "no value": (["train", "demo", "--out", "OUT", "--training.steps"], "has no value"),
    "seeds": (["train", "demo", "--out", "OUT", "--seeds", "0"], "seeds is 0; it must be how many"),
    "measure": (["compare", "DONE", "--measures", "ckaa"], "'ckaa'"),
    "choice": (["compare", "DONE", "--measures", "rsa(rdm=euclid)"], "euclid"),
    "layer": (["compare", "DONE", "--layers", "rat"], "no layer 'rat'"),
    "directory": (["show", "OUT"], "is no zoo directory"),
    "member": (["show", "DONE", "nobody"], "no member 'nobody'"),
    "task": (["train", "mnist-cnn", "--out", "OUT", "--task", "minst"], "Unknown task 'minst'; the nearest"),
    "data directory": (
        ["train", "mnist-cnn", "--out", "OUT", "--data-dir", "no/such"],
        "no/such, which is no directory",
    ),
    "empty data directory": (
        ["train", "mnist-cnn", "--out", "OUT", "--data-dir", "EMPTY"],
        "holds no train-images-idx3",
    ),
    "kernel": (
        ["train", "demo", "--out", "OUT", "--model.kernel", "9"],
        "kernel is 9, but the map of conv1 is only 8 x 8",
    ),
    "pool": (
        ["train", "demo", "--out", "OUT", "--model.pool", "9"],
        "pool is 9, which leaves nothing of conv1's 8 x 8",
    ),
    "kernels": (["train", "demo", "--out", "OUT", "--model.kernel", "(3,1,3)"], "kernel has 3 values"),
    "images without a file": (["train", "mnist-cnn", "--out", "OUT", "--task", "images"], "--task.file"),
    "pictured field": (
        ["run", "demo", "--out", "OUT", "--by", "chanels"],
        "No field 'chanels' was varied; the nearest is 'channels'",
    ),
    "marked field": (["report", "DONE", "--marks", "modl"], "No field 'modl' was varied; the nearest is 'model'"),
    "a plan for a file": (["train", "demo", "--out", "pyproject.toml", "--dry-run"], "--out pyproject.toml is a file"),
    "override elsewhere": (["show", "DONE", "--training.steps", "3"], "belongs to run and train"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_on_stderr_and_status_2(
    case: str, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, words = BAD[case]
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))  # --data-dir sets it for good
    (tmp_path / "empty").mkdir()
    places = {"OUT": str(tmp_path / "out"), "DONE": str(done), "EMPTY": str(tmp_path / "empty")}
    assert run_zoo.main([places.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_compare_on_images_of_a_file_stands_beside_what_was_there(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", images=draw.integers(0, 256, (8, 12, 12, 3), np.uint8), kind=np.arange(8) % 2)
    out = tmp_path / "zoo"
    shutil.copytree(done, out)
    for path in (out / "analysis").glob("flipflop*"):
        path.unlink()  # so that no time is spent on drawing it
    before = {path.name: path.read_bytes() for path in (out / "analysis").iterdir()}
    flags = ["--probe", str(tmp_path / "noise.npz"), "--space", "subset(20, key=1)", "--all-layers"]
    assert run_zoo.main(["compare", str(out), *flags]) == 0
    said = capsys.readouterr().out
    assert "digits-noise: 4 members, trained and untrained, at 2 layers (subset(20, key=1) of maps), 8 stimuli" in said
    after = {path.name: path.read_bytes() for path in (out / "analysis").iterdir()}
    ends = (".nc", "-rdms.nc", "-fields.csv", "-means.csv", "-categories.csv", "-layers.nc")
    assert set(after) - set(before) == {f"digits-noise{end}" for end in ends}, "recurrent networks take no images"
    assert all(after[name] == content for name, content in before.items())
    assert Comparison.load(out / "analysis" / "digits-noise.nc").space == "subset(20, key=1)"
    table = pd.read_csv(out / "analysis" / "digits-noise-categories.csv")
    assert len(table) == (4 + 2) * 2, "before training, networks of one seed are one"
    assert set(table["condition"]) == {"kind"}
    monkeypatch.setattr(datasets, "load", lambda *args, **kwargs: pytest.fail("the report read images"))
    assert run_zoo.main(["report", str(out)]) == 0
    monkeypatch.undo()
    text = capsys.readouterr().out
    assert "category index of kind, first -> last layer:" in text
    assert "layers identified in" in text
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"digits-noise-categories.png", "digits-noise-layers-cka.png", "digits-noise-conv1-cka-mds.png"} <= names
    assert run_zoo.main(["compare", str(out), *flags[:2], "--measures", "cka"]) == 0
    assert not (out / "analysis" / "digits-noise-layers.nc").exists(), "of another comparison: it would not fit"
    (out / "figures" / "mine.png").touch()
    assert run_zoo.main(["report", str(out)]) == 0
    after = {path.name for path in (out / "figures").iterdir()}
    assert {name for name in names - after if not name.startswith("digits-noise-")} == set()
    assert {"digits-noise-layers-cka.png", "digits-noise-conv1-rsa-mds.png"} <= names - after, "of what was replaced"
    assert {"digits-noise-conv1-cka-mds.png", "mine.png"} <= after


def test_a_comparison_that_is_old_or_of_fewer_members_is_named_and_the_others_are_drawn(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "zoo"
    shutil.copytree(done, out)
    results = {task: artefacts.read_dataset(out / "analysis" / f"{task}.nc") for task in ("digits", "flipflop")}
    assert {task: result.attrs["finished"] for task, result in results.items()} == {"digits": 4, "flipflop": 8}
    results["flipflop"].attrs["finished"] = 5
    del results["digits"].attrs["format"]
    for task, result in results.items():
        artefacts.write_dataset(result, out / "analysis" / f"{task}.nc")
    assert run_zoo.main(["report", str(out)]) == 0
    text = capsys.readouterr().out
    assert "digits was compared by an earlier version or in another zoo; compare it again" in text
    assert "flipflop: 8 members" in text
    assert "3 members were trained to their end since" in text
    assert (out / "figures" / "digits-curves.png").exists(), "of what could not be drawn again"
    del results["flipflop"].attrs["format"]
    artefacts.write_dataset(results["flipflop"], out / "analysis" / "flipflop.nc")
    assert run_zoo.main(["report", str(out)]) == 0
    text = capsys.readouterr().out
    assert "flipflop was compared by an earlier version or in another zoo; compare it again" in text
    assert "has no comparison" not in text


def test_a_comparison_that_was_stopped_while_it_wrote_leaves_the_one_before(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "zoo"
    shutil.copytree(done, out)

    def files() -> dict[str, bytes]:  # beside them stands what the comparison goes on from
        return {path.name: path.read_bytes() for path in (out / "analysis").iterdir() if path.is_file()}

    before = files()
    saved: list[str] = []

    def save(dataset: Any, path: Path, real: Any = artefacts.write_dataset) -> None:
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(str(path))
        real(dataset, path)

    monkeypatch.setattr(artefacts, "write_dataset", save)
    assert run_zoo.main(["compare", str(out), "--measures", "rsa"]) == 1
    monkeypatch.undo()
    assert saved
    assert "No space left on device" in capsys.readouterr().err
    assert files() == before
    assert run_zoo.main(["report", str(out)]) == 0
    assert "cka at rate, trained" in capsys.readouterr().out


DEAD = """
from models import cnn
from zoo import Training, Zoo, product
from zoo.tasks import digits
zoo = Zoo(
    "dead", task=digits.Task(probe_images=10), seeds=2,
    model=product(cnn.Model, channels=[(2,), (2, 3)], dense=[()], activation=["relu"]),
    training=Training(steps=2, batch=4),
)
"""


def test_run_draws_what_was_trained_where_it_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """One pattern is one stimulus, which FORCE learns from and no measure takes."""
    spec, out = tmp_path / "one.py", tmp_path / "zoo"
    spec.write_text(
        "from models import reservoir\nfrom zoo import Training, Zoo\nfrom zoo.rules import force\n"
        "from zoo.tasks import targets\n"
        "zoo = Zoo('one', task=targets.Task(steps=20), model=reservoir.Model(hidden=5), rule=force.Rule(),"
        " training=Training(steps=4, batch=1, evaluate_every=2), seeds=2)\n"
    )
    assert run_zoo.main(["run", str(spec), "--out", str(out)]) == 2
    assert "needs at least 4 stimuli, not 1." in capsys.readouterr().err
    assert (out / "figures" / "targets-curves.png").exists()


def test_run_leaves_dead_layers_out_and_says_so_and_compare_refuses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.store import reader

    (tmp_path / "dead.py").write_text(DEAD)
    variables = reader.Trained.variables

    def dying(self, members, *, at: Any = "last", **given: Any):
        found = variables(self, members, at=at, **given)
        ids = [members] if isinstance(members, str) else list(members)
        first = self.members["member"][0]
        if at == "last" and first in ids:  # all biases far below 0: no unit of the first network responds
            drop = np.where(np.array(ids) == first, 1e4, 0.0).astype(np.float32)
            found["params"] = jax.tree_util.tree_map_with_path(
                lambda path, x: x - drop[:, None] if "bias" in str(path[-1]) else x, found["params"]
            )
        return found

    monkeypatch.setattr(reader.Trained, "variables", dying)
    out = tmp_path / "zoo"
    assert run_zoo.main(["run", str(tmp_path / "dead.py"), "--out", str(out)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "left out as constant" in line]
    assert len(lines) == 1
    assert re.search(
        r"digits: left out as constant over all stimuli or not finite: 1 representation \(digits-", lines[0]
    )
    assert run_zoo.main(["compare", str(out)]) == 2
    assert "--exclude-degenerate" in capsys.readouterr().err
    assert run_zoo.main(["compare", str(out), "--exclude-degenerate"]) == 0


PROBES = {
    "space": (["--space", "median"], "space is 'median'; allowed: mean, units, subset(k)"),
    "missing": (["--probe", "no/such.npz"], "There is no probe at no/such.npz"),
    "name": (["--probe", "RDMS"], "A probe may not be called 'rdms'"),
    "task": (
        ["--probe", "FACES", "--task", "flipflop"],
        "Task flipflop cannot be shown this probe; leave out --probe ",
    ),
}


@pytest.mark.parametrize("case", PROBES)
def test_a_wrong_space_or_probe_is_one_sentence(
    case: str, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    flags, words = PROBES[case]
    for name in ("rdms", "faces"):
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((3, 4, 4), np.uint8))
    flags = [str(tmp_path / f"{flag.lower()}.npz") if flag.isupper() else flag for flag in flags]
    assert run_zoo.main(["compare", str(done), *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
