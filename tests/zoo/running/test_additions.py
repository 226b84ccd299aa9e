"""Members added to a directory, tried again or of a larger spec: the old ones, their rows and bits stay."""

import shutil
from pathlib import Path
from typing import Any

import chex
import pandas as pd
import pytest

import run_zoo
from models import cnn, gru, vanilla
from tests.faults.rig import assert_same, everything
from zoo import Training, Zoo, load, merge, product, train
from zoo.running import loaded_block
from zoo.running.additions import grow, retried
from zoo.running.packing import Pack
from zoo.running.shares import Cluster, Share
from zoo.spec.spec_file import read_spec
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store
from zoo.store.manifest import begun_from
from zoo.store.sealing import CheckpointCorrupt
from zoo.store.verification import verify
from zoo.tasks import digits, flipflop

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
    spec.write_text("from tests.zoo.running.test_additions import ZOO as zoo")
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


# --- a larger spec ----------------------------------------------------------------------------------------------------

VANILLA, GRU = vanilla.Model(hidden=3), gru.Model(hidden=3)


def of(seeds, rates=(1e-3,), models=(VANILLA,), **training) -> Zoo:
    return Zoo(
        "growing",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=list(models),
        training=product(Training, learning_rate=list(rates), **{"steps": 6, "batch": 4, **training}),
        seeds=seeds,
    )


SMALL = of([0, 1])
GROWN = of([0, 1, 2], rates=(1e-3, 1e-2), models=(VANILLA, GRU))


def whatever_cohort(path: Path) -> dict[str, Any]:
    """All of every member, but the name of the cohort that it is in."""
    found = everything(path)
    for of_member in found.values():
        assert of_member["row"].pop(0).startswith("flipflop-")
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(train(SMALL, tmp_path_factory.mktemp("small") / "zoo", quiet=True).path)


@pytest.fixture(scope="module")
def grown(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copytree(small, tmp_path_factory.mktemp("grown") / "zoo"))
    train(GROWN, path, quiet=True)
    return path


def test_more_seeds_levels_and_models_end_with_the_bits_of_a_zoo_that_had_them_from_the_beginning(
    grown: Path, tmp_path: Path
) -> None:
    whole = train(GROWN, tmp_path / "whole", quiet=True)
    table = load(grown).members.set_index("member")
    assert set(table.index) == set(whole.members["member"])
    assert_same(whatever_cohort(grown), whatever_cohort(tmp_path / "whole"))
    assert table.loc[whole.members["member"], "loss"].tolist() == whole.members["loss"].tolist()


def test_what_was_there_stays_as_it_is_and_comes_first(small: Path, grown: Path) -> None:
    before = {p.relative_to(small): p.read_bytes() for p in (small / "cohorts").rglob("*") if p.is_file()}
    assert before
    assert all((grown / name).read_bytes() == content for name, content in before.items())
    assert load(grown).members["member"].tolist()[:2] == load(small).members["member"].tolist()
    assert load(grown).members["seed"].tolist().count(2) == 4
    assert not verify(grown).faults


def test_a_cohort_that_continues_another_has_its_recipe(small: Path, grown: Path) -> None:
    cohorts = load(grown).manifest["cohorts"]
    (old,) = load(small).manifest["cohorts"]
    assert cohorts[f"{old}-1"]["asked"] == cohorts[old]["recipe"]
    assert [cohort.generation for cohort in load(grown).zoo.cohorts] == [0, 1, 1]


def test_either_spec_again_trains_nothing_and_a_third_adds_to_both(grown: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(grown, tmp_path / "zoo"))
    for again in (SMALL, GROWN):
        before = everything(path)
        assert len(train(again, path, quiet=True).members) == 12
        assert_same(everything(path), before)
    assert train(of([0, 1, 5]), path, quiet=True).members["seed"].tolist()[12:] == [5]
    assert_same({member: state for member, state in everything(path).items() if member in before}, before)


def test_it_is_said_what_was_added(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(shutil.copytree(small, tmp_path / "zoo"))
    train(of([0, 1, 2]), path)
    assert "1 member is added to the 2 of zoo, which stay as they are" in " ".join(capsys.readouterr().out.split())


def test_a_spec_without_some_of_what_is_there_is_refused_and_nothing_changes(small: Path) -> None:
    before = (small / "zoo.json").read_bytes()
    for other in (of([1, 2]), of([0, 1], steps=7)):
        with pytest.raises(ValueError, match=r"holds another spec: .* \([12] of 2 members are not in this one\)"):
            train(other, small, quiet=True)
    with pytest.raises(ValueError, match=r"lacks 10 members of this spec; train it first"):
        retried(small, GROWN, "diverged")
    assert (small / "zoo.json").read_bytes() == before


def test_processes_that_share_a_directory_do_not_add_to_it(small: Path) -> None:
    before = (small / "zoo.json").read_bytes()
    with pytest.raises(ValueError, match="lacks 10 members of this spec, and adding them is for one process alone"):
        train(GROWN, small, quiet=True, cluster=Cluster(Share(0, 2, "run")))
    assert (small / "zoo.json").read_bytes() == before
    assert grow(Store(small, SMALL), Share()) == ""


def test_a_grown_zoo_is_compared_and_its_untrained_copies_are_one(grown: Path) -> None:
    assert run_zoo.main(["compare", str(grown), "--measures", "cka"]) == 0
    assert (grown / "analysis" / "flipflop.nc").exists()


# --- more steps -------------------------------------------------------------------------------------------------------

NOISY = vanilla.Model(hidden=3, noise=0.1)
CONVOLUTIONS = cnn.Model(channels=(2,), dense=(3,), normalization="batch", dropout=0.2)


def long(steps, model=NOISY, seeds=range(3), **training) -> Zoo:
    """Networks with noise under adam, in blocks of two."""
    settings = {"batch": 4, "evaluate_every": 3, "snapshots": (2, 6), "score_levels": (-10.0,), **training}
    task = digits.Task() if model is CONVOLUTIONS else flipflop.Task(steps=6, eval_trials=8, probe_trials=8)
    return Zoo("long", task=task, model=model, training=product(Training, steps=steps, **settings), seeds=seeds)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(train(long([6]), tmp_path_factory.mktemp("short") / "zoo", quiet=True, block=2).path)


@pytest.mark.parametrize("model", [NOISY, CONVOLUTIONS], ids=["rnn", "cnn"])
def test_more_steps_begin_where_fewer_ended_with_the_bits_and_curves_of_training_from_the_start(
    model: Any, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, more = tmp_path / "zoo", {} if model is NOISY else {"seeds": range(1)}
    if model is NOISY:
        shutil.copytree(short, path)
    else:
        train(long([6], model, **more), path, quiet=True, block=2)
    old = load(path).members["member"].tolist()
    taken, advance = [], Pack.advance
    monkeypatch.setattr(
        Pack, "advance", lambda pack, steps, evaluate: taken.append(steps) or advance(pack, steps, evaluate)
    )
    train(long([6, 12], model, **more), path)
    assert sum(taken) == 6 * (2 if model is NOISY else 1), "of each block the steps from 6 to 12"
    assert f"{len(old)} of the new begin where one with fewer steps ended" in " ".join(capsys.readouterr().out.split())
    whole = tmp_path / "whole"
    train(long([12], model, **more), whole, quiet=True, block=2)
    table, ours, theirs = load(path).members.set_index("member"), load(path), load(whole)
    new = theirs.members["member"].tolist()
    assert table.loc[new, "begins_from"].tolist() == old
    assert table["begins_from"].isna().tolist() == [True] * len(old) + [False] * len(old)
    for at in ("last", "initial", 2, 6, "score=-10"):
        chex.assert_trees_all_equal(ours.variables(new, at=at), theirs.variables(new, at=at))
    folders = [
        next(place for place in (path, whole)[i].glob("cohorts/*/0000") if (place / "12").exists()) for i in (0, 1)
    ]
    chex.assert_trees_all_equal(*(BlockFolder(folder).rows(12, [0]) for folder in folders))
    for found in (ours, theirs):
        assert found.curves.set_index("member").loc[new[0], "step"].tolist() == [0, 3, 6, 9, 12]
    curves = [found.curves[found.curves["member"].isin(new)].reset_index(drop=True) for found in (ours, theirs)]
    pd.testing.assert_frame_equal(*curves)
    assert not verify(path).faults


def test_more_steps_on_the_command_line_need_no_spec_and_are_asked_for_once(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copytree(short, tmp_path / "zoo"))
    assert run_zoo.main(["train", str(path), "--more-steps", "9"]) == 0
    assert load(path).members["training.steps"].tolist() == [6] * 3 + [9] * 3
    new = load(path).members["member"].tolist()[3]
    assert run_zoo.main(["show", str(path), new]) == 0
    assert "begun where flipflop-vanilla-" in capsys.readouterr().out
    assert run_zoo.main(["train", str(path), "--more-steps", "9"]) == 0
    assert "all was done before" in capsys.readouterr().out
    for words, sentence in {
        (str(path), "--more-steps", "9"): "",
        (str(path), "--more-steps", "12", "--retry", "diverged"): "--retry and --more-steps both add members",
        (str(path), "--more-steps", "5"): "--more-steps is 5, and no member of",
        ("demo", "--out", str(path), "--more-steps", "12"): "of this spec; train it first",
        ("demo", "--more-steps", "12"): "--out is missing",
    }.items():
        assert run_zoo.main(["train", *words]) == (2 if sentence else 0)
        assert sentence in capsys.readouterr().err
    assert load(path).members["training.steps"].tolist() == [6] * 3 + [9] * 3


def test_a_run_that_is_killed_while_it_begins_from_others_goes_on(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, saved, save = Path(shutil.copytree(short, tmp_path / "zoo")), [], BlockFolder.save

    def killed(folder: BlockFolder, step: int, *others: Any) -> None:
        if step == 6:
            raise KeyboardInterrupt
        save(folder, step, *others)
        saved.append(step)

    with monkeypatch.context() as patch:
        patch.setattr(BlockFolder, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(long([6, 12]), path, quiet=True)
    assert saved[:2] == [0, 2]
    again = train(long([6, 12]), path, quiet=True)
    whole = train(long([12]), tmp_path / "whole", quiet=True, block=2)
    new = whole.members["member"].tolist()
    chex.assert_trees_all_equal(again.variables(new), whole.variables(new))


def test_where_the_end_of_fewer_steps_is_no_moment_of_more_they_begin_from_the_start_and_it_is_said_why(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (given, reason) in {
        "schedule": ({"schedule": "cosine"}, "the cosine schedule of the learning rate depends on their number"),
        "target": ({"target": 0.9}, "members with a target stop at it"),
        "diverged": ({"learning_rate": 1e9, "optimizer": "sgd", "score_levels": ()}, "those with fewer diverged"),
        "levels": ({"evaluate_every": 4}, "score levels are met at evaluations, and step 6 would be none of theirs"),
        "interval": ({"evaluate_every": 9}, "score levels are met at evaluations, and step 6 would be none of theirs"),
    }.items():
        model = vanilla.Model(hidden=3, activation="relu") if name == "diverged" else NOISY
        fields = {"seeds": range(1), **given}
        train(long([6], model, **fields), tmp_path / name, quiet=True)
        capsys.readouterr()
        train(long([6, 7], model, **fields), tmp_path / name)
        assert f"1 with more steps than before begin from their seeds, since {reason}" in " ".join(
            capsys.readouterr().out.split()
        )
        assert "begins_from" not in load(tmp_path / name).members


def test_they_begin_from_the_longest_that_is_trained_and_each_block_is_looked_at_once(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, looked, steps = Path(shutil.copytree(short, tmp_path / "zoo")), [], BlockFolder.steps
    grow(Store(path, long([6, 9])), Share())  # which nobody trains
    monkeypatch.setattr(BlockFolder, "steps", lambda folder: looked.append(folder.path) or steps(folder))
    assert "3 of the new begin where one with fewer steps ended" in grow(Store(path, long([6, 9, 12])), Share())
    old, new = load(short).members["member"], [m.id for m in load(path).zoo.members if m.training.steps == 12]
    assert [begun_from(load(path).manifest)[member] for member in new] == old.tolist()
    assert max(looked.count(block) for block in looked) == 2, "for the table of members, and for their ends"


def test_other_snapshots_after_the_end_of_fewer_steps_do_not_matter_and_lacking_ones_before_it_are_said(
    short: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(short, tmp_path / "zoo"))
    later, lacking = long([12], snapshots=(2, 8)), long([9], snapshots=(3,), seeds=[0])
    sentence = grow(Store(path, long([6]) + later + lacking), Share())
    assert "3 of the new begin where one with fewer steps ended" in sentence
    assert (
        "1 with more steps than before begin from their seeds, since those with fewer have no snapshot at" in sentence
    )
    train(long([6]) + later + lacking, path, quiet=True)
    whole, new = train(later, tmp_path / "whole", quiet=True, block=2), [member.id for member in later.members]
    for at in (2, 8, "last"):
        chex.assert_trees_all_equal(load(path).variables(new, at=at), whole.variables(new, at=at))


def test_an_end_that_cannot_be_read_any_more_is_said_and_the_seeds_give_the_same_bits(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copytree(short, tmp_path / "zoo"))

    def gone(*_: Any) -> None:
        raise CheckpointCorrupt("Step 6 is damaged.")

    monkeypatch.setattr(loaded_block, "begin", gone)
    again = train(long([6, 12]), path)
    assert "Step 6 is damaged. Block" in capsys.readouterr().out
    whole = train(long([12]), tmp_path / "whole", quiet=True, block=2)
    new = whole.members["member"].tolist()
    chex.assert_trees_all_equal(again.variables(new), whole.variables(new))


def test_what_began_from_others_is_merged_and_compared(short: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(short, tmp_path / "other"))
    train(long([6, 9]), other, quiet=True)
    path = merge((short, other), tmp_path / "both", say=str).path
    assert load(path).members["begins_from"].notna().sum() == 3
    assert run_zoo.main(["compare", str(path), "--measures", "cka"]) == 0


def test_a_grown_or_merged_directory_is_a_spec_of_all_that_it_has_each_member_once(
    grown: Path, small: Path, tmp_path: Path
) -> None:
    known = set(load(grown).members["member"])
    assert {member.id for member in read_spec(str(grown)).members} == known
    more = read_spec(str(grown), [("seeds", "3")])
    ids = [member.id for member in more.members]
    assert len(ids) == len(set(ids))
    assert {member.seed for member in more.members} == {0, 1, 2}
    both = merge([small, grown], tmp_path / "both").path
    assert {member.id for member in read_spec(str(both)).members} == known
    train(read_spec(str(both), [("seeds", "3")]), both, quiet=True)
    assert set(load(both).members["status"]) <= {"solved", "unsolved"}
