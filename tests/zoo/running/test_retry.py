"""`--retry diverged`: new members beside the old ones, whose rows and bits stay."""

from pathlib import Path

import chex
import pytest

import run_zoo
from models import vanilla
from tests.faults.rig import assert_same, everything
from zoo import Training, Zoo, load, product, train
from zoo.running.retry import retried
from zoo.tasks import flipflop

ZOO = Zoo(
    "again",
    task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
    model=vanilla.Model(hidden=3, activation="relu"),
    training=product(Training, learning_rate=[1e-3, 1e7], optimizer="sgd", steps=30, batch=4, evaluate_every=10),
    seeds=[0, 3],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(train(ZOO, tmp_path / "zoo", quiet=True).path)


def test_diverged_members_are_tried_with_the_next_seeds_and_the_old_rows_and_bits_stay(path: Path) -> None:
    before, table = everything(path), load(path).members
    diverged = table.loc[table["status"] == "diverged", "member"].tolist()
    assert len(diverged) == 2
    pairs = retried(path, ZOO, "diverged")
    assert [old for old, _ in pairs] == diverged
    assert load(path).members["status"].tolist().count("pending") == 2
    again = train(ZOO, path, quiet=True).members
    assert again.iloc[:4].equals(table)
    assert again["seed"].tolist()[4:] == [4, 5]
    assert again["member"].tolist()[4:] == [new for _, new in pairs]
    after = everything(path)
    assert_same({member: after[member] for member in before}, before)
    more = retried(path, ZOO, "diverged")
    assert [old for old, _ in more] == [new for _, new in pairs], "who was tried again is not tried twice"


def test_show_says_who_was_tried_again_as_whom(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ((old, new), *_) = retried(path, ZOO, "diverged")
    for member, sentence in ((old, f"tried again as {new}"), (new, f"{old} tried again")):
        assert run_zoo.main(["show", str(path), member]) == 0
        assert sentence in capsys.readouterr().out


def test_with_another_learning_rate_the_seed_stays(path: Path) -> None:
    pairs = retried(path, ZOO, "diverged", 1e-2)
    again = train(ZOO, path, quiet=True).members.set_index("member")
    assert [again.at[new, "seed"] for _, new in pairs] == [again.at[old, "seed"] for old, _ in pairs] == [0, 3]
    assert {again.at[new, "learning_rate"] for _, new in pairs} == {1e-2}
    assert {again.at[new, "status"] for _, new in pairs} == {"unsolved"}


def test_a_retried_member_has_the_bits_that_it_has_in_a_zoo_of_its_own(path: Path, tmp_path: Path) -> None:
    ((_, new), *_) = retried(path, ZOO, "diverged", 1e-2)
    train(ZOO, path, quiet=True)
    alone = train(ZOO.replace("learning_rate", 1e-2), tmp_path / "alone", quiet=True)
    chex.assert_trees_all_equal(load(path).variables(new), alone.variables(new))


def test_bad_retries_are_one_sentence_and_add_nothing(path: Path, capsys: pytest.CaptureFixture) -> None:
    spec = path.parent / "spec.py"
    spec.write_text("from tests.zoo.running.test_retry import ZOO as zoo")
    for flags, sentence in {
        ("--retry", "bad"): "--retry is 'bad'; it must be one of diverged, unsolved.",
        ("--retry-learning-rate", "1e-2"): "it needs --retry diverged",
        ("--retry", "diverged", "--retry-learning-rate", "-1"): "learning_rate is -1.0; it must be above 0",
        ("--retry", "diverged", "--retry-learning-rate", "1e-3"): "which the zoo has already",
    }.items():
        assert run_zoo.main(["train", str(spec), "--out", str(path), *flags]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    assert run_zoo.main(["train", str(spec), "--out", str(path.parent / "none"), "--retry", "diverged"]) == 2
    assert "is no zoo directory" in capsys.readouterr().err
    assert not (path.parent / "none").exists()
    assert len(load(path).members) == 4


def test_two_rates_of_one_seed_become_one_new_member_and_count_as_alike(tmp_path: Path) -> None:
    from analysis.inference.field_tests import alike

    zoo = ZOO.replace("seeds", [0]) + Zoo(
        "again",
        task=ZOO.grids[0].task,
        model=ZOO.grids[0].model,
        training=product(Training, learning_rate=[1e8], optimizer="sgd", steps=30, batch=4, evaluate_every=10),
        seeds=[0],
    )
    path = train(zoo, tmp_path / "zoo", quiet=True).path
    pairs = retried(path, zoo, "diverged", 1e-2)
    assert len(pairs) == 2
    assert len({new for _, new in pairs}) == 1
    table = train(zoo, path, quiet=True).members
    assert len(table) == 4
    assert table["cohort"].nunique() == 2
    assert alike(table).nunique() == 1, "the same network with another rate is no independent evidence"
    assert retried(path, zoo, "diverged", 1e-2) == []
