"""What only reads answers without JAX, which takes seconds to load and may take an accelerator that a run holds."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from models import cnn, vanilla
from zoo import Training, Zoo, load, product, train
from zoo.store.members import member_table
from zoo.tasks import digits, flipflop

ROOT = Path(__file__).parent.parent
ZOO = Zoo(
    "small",
    task=flipflop.Task(steps=8, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=3),
    training=product(Training, learning_rate=[1e-3, 1e6], optimizer="sgd", steps=4, batch=4, target=0.4),
    seeds=2,
) + Zoo("small", task=digits.Task(), model=cnn.Model(channels=(2,), dense=(3,)), training=Training(steps=1, batch=2))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "zoo"
    train(ZOO, path, quiet=True)
    return path


@pytest.fixture
def unfinished(directory: Path, tmp_path: Path) -> Path:
    """The same directory, whose table was written before anything was trained."""
    path = Path(shutil.copytree(directory, tmp_path / "zoo"))
    table = pd.read_csv(path / "members.csv")
    table.assign(status="pending", steps=0, loss=float("nan"), score=float("nan")).to_csv(
        path / "members.csv", index=False
    )
    return path


def run(*words: str) -> str:
    """What a command prints, in a process in which it must not have imported JAX."""
    code = "import sys, run_zoo; status = run_zoo.main(sys.argv[1:]); assert 'jax' not in sys.modules; sys.exit(status)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["compare", "--help"]], ids=" ".join)
def test_help_is_given_without_jax(words: list[str]) -> None:
    code = (
        "import sys, run_zoo\ntry: run_zoo.main(sys.argv[1:])\nexcept SystemExit: pass\nassert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, timeout=240, check=True)


def test_everything_is_listed_without_jax() -> None:
    text = run("list")
    for line in ("models\n", "  vanilla ", "  flipflop ", "  bptt ", "  cka ", "  cifar-resnet "):
        assert line in text


def test_a_finished_zoo_and_one_that_trains_are_shown_without_jax(directory: Path, unfinished: Path) -> None:
    whole = run("show", str(directory))
    assert "5 members" in whole
    assert run("show", str(unfinished)) == whole


def test_a_member_is_shown_without_jax_with_every_field(directory: Path) -> None:
    for member in ZOO.members[::2]:
        text = run("show", str(directory), member.id)
        for section in (member.task, member.model, member.training):
            # What a later version has brought is in no directory where it is at its default.
            fields = [field for field in dataclasses.fields(section) if not field.metadata.get("since")]
            names = [field.name for field in fields if field.name not in ("parent", "name")]
            assert sum(f"{name}={getattr(section, name)}" in text for name in names) >= len(names) - 3  # the given ones
        assert f"seed: {member.seed}" in text


def test_the_table_read_without_the_spec_is_the_one_made_from_it(unfinished: Path) -> None:
    pd.testing.assert_frame_equal(load(unfinished).members, member_table(unfinished, ZOO), check_dtype=False)
