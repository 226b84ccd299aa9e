"""Several directories made one: nothing is changed, nothing counts twice, and what cannot be one is refused."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import chex
import jax
import pytest

import run_zoo
from models import gru, vanilla
from tests.faults.rig import ROOT, assert_same, everything
from tests.zoo.small_zoos import unchanged
from zoo import Training, Zoo, load, merge, product, train
from zoo.store import merging
from zoo.store.checkpoints import BlockFolder
from zoo.store.lock import locked
from zoo.store.manifest import begun_from, tried_again
from zoo.store.regrouping import Place, save_gathered
from zoo.store.verification import verify
from zoo.tasks import flipflop

VANILLA, GRU = vanilla.Model(hidden=3), gru.Model(hidden=3)


def of(seeds, models=(VANILLA,), rates=(1e-3,), **training) -> Zoo:
    return Zoo(
        "part",
        task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
        model=list(models),
        training=product(Training, learning_rate=list(rates), **{"steps": 6, "batch": 4, **training}),
        seeds=seeds,
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Seeds 0 to 3, and seeds 3 to 6 with another model: one member is in both, in the first of two blocks."""
    root = tmp_path_factory.mktemp("parts")
    for name, zoo in (("a", of(range(4))), ("b", of([3, 4, 5, 6], models=(VANILLA, GRU)))):
        train(zoo, root / name, quiet=True, block=2)
    return root / "a", root / "b"


@pytest.fixture(scope="module")
def merged(places: tuple[Path, Path]) -> tuple[Path, list[str]]:
    said: list[str] = []
    return Path(merge(places, places[0].parent / "both", say=said.append).path), said


def states(path: Path) -> dict:
    """All of every member, but the name of the cohort that it is in."""
    found = everything(path)
    for of_member in found.values():
        of_member["row"].pop(0)
    return found


def test_every_member_of_both_is_there_once_with_its_bits_curves_and_row(places, merged) -> None:
    path, said = merged
    before, after = {**states(places[1]), **states(places[0])}, states(path)
    assert len(after) == 4 + 8 - 1
    assert load(path).members["member"].tolist()[:4] == load(places[0]).members["member"].tolist()
    for found in (before, after):
        for of_member in found.values():
            of_member["row"] = of_member["row"][:7]  # the columns that every table has
    assert_same(after, before)
    assert not verify(path).faults
    assert any(f"1 member of {places[1]} that {places[0]} has too count once" in line for line in said)


def test_the_directories_that_were_merged_stay_as_they_are_and_share_their_files(places, merged) -> None:
    path, _ = merged
    linked = [file for file in (path / "cohorts").rglob("curves.npz") if file.stat().st_nlink == 2]
    rewritten = [file for file in (path / "cohorts").rglob("curves.npz") if file.stat().st_nlink == 1]
    assert len(rewritten) == 2, "the block of which a member was left out, at steps 0 and 6"
    assert len(linked) == 2 * (2 + 1 + 2)
    assert all(not verify(each).faults for each in places)


def test_each_cohort_keeps_its_recipe(places, merged) -> None:
    cohorts = load(merged[0]).manifest["cohorts"]
    assert len(cohorts) == 4
    assert {entry["recipe"]["block"] for entry in cohorts.values()} == {2}
    assert all(entry["asked"] for entry in cohorts.values())
    of_sources = [about["cohorts"] for about in load(merged[0]).manifest["merged"]]
    assert [len(each) for each in of_sources] == [1, 3]
    assert {cohort for each in of_sources for cohort in each} == cohorts.keys()


def test_merged_again_it_stays_as_it_is_and_other_directories_are_refused(places, merged, tmp_path, capsys) -> None:
    before = unchanged(merged[0])
    assert run_zoo.main(["merge", *map(str, places), "--out", str(merged[0])]) == 0
    assert "is the merge of these already, with 11 members" in capsys.readouterr().out
    for named in (places[::-1], (*places, merged[0].parent / "c")):
        if not named[-1].exists():
            shutil.copytree(places[0], named[-1])
        with pytest.raises(ValueError, match=r"is the merge of a \(4 members\), b \(8 members\) and not of "):
            merge(named, merged[0])
    with pytest.raises(ValueError, match="is another zoo and not of"):
        merge((merged[0], places[1]), places[0])
    assert unchanged(merged[0]) == before


def test_what_is_no_merge_is_one_sentence_and_leaves_nothing(places, tmp_path, capsys) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("words")
    a, b = map(str, places)
    for words, sentence in {
        (a, "--out", "NEW"): "needs no merging",
        (a, a, "--out", "NEW"): "is named twice; each directory may stand once",
        (a, b, "--out", a): "is named twice",
        (a, str(tmp_path), "--out", "NEW"): "is no zoo directory",
        (a, b, "--out", str(tmp_path / "full")): "has files that are no zoo",
        (a, b, "--out", "NEW[1]"): "must be a path without",
    }.items():
        assert run_zoo.main(["merge", *(word.replace("NEW", str(tmp_path / "new")) for word in words)]) == 2
        assert sentence in (said := capsys.readouterr().err)
        assert said.count("\n") == 1
    with locked(places[1]), pytest.raises(ValueError, match=r"b is being trained by process"):
        merge(places, tmp_path / "new")
    assert [each.name for each in tmp_path.iterdir()] == ["full"]
    for words in (["compare", a, b], ["compare", a, "--out", str(tmp_path / "new")]):
        assert run_zoo.main(words) == 2
        assert "--out" in capsys.readouterr().err


def test_a_merge_that_is_killed_leaves_no_directory_and_the_next_one_is_whole(places, tmp_path, monkeypatch) -> None:
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merging, "save_gathered", killed)  # after the first cohorts were linked
        with pytest.raises(KeyboardInterrupt):
            merge(places, tmp_path / "both", say=str)
    assert not (tmp_path / "both" / "zoo.json").exists()
    assert any(tmp_path.rglob("curves.npz"))
    assert len(merge(places, tmp_path / "both", say=str).members) == 11
    assert [each.name for each in tmp_path.iterdir()] == ["both"]
    assert not (tmp_path / "both" / merging.STAGE).exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from zoo import merge
rename = Path.rename
Path.rename = lambda path, target: (rename(path, target), os.kill(os.getpid(), signal.SIGKILL))
merge(sys.argv[1:3], sys.argv[3])
"""


def test_a_merge_that_is_killed_while_it_is_moved_into_its_place_is_whole_after_the_next(places, tmp_path) -> None:
    other, out = shutil.copytree(places[0], tmp_path / "other"), tmp_path / "both"
    words = [sys.executable, "-c", KILLED, str(places[0]), str(other), str(out)]
    assert subprocess.run(words, cwd=ROOT, timeout=120).returncode == -signal.SIGKILL
    assert (out / "cohorts").exists()
    assert not (out / "zoo.json").exists()
    assert len(merge((places[0], other), out, say=str).members) == 4
    assert not verify(out).faults
    assert not (out / merging.STAGE).exists()


def test_what_lies_hidden_in_the_place_of_a_merge_stays_and_who_holds_it_is_waited_for(places, tmp_path) -> None:
    other, out = shutil.copytree(places[0], tmp_path / "other"), tmp_path / "both"
    for name in (".lock", ".git/config"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("kept")
    with locked(out), pytest.raises(ValueError, match=r"both is being trained by process"):
        merge((places[0], other), out, say=str)
    assert len(merge((places[0], other), out, say=str).members) == 4
    assert (out / ".git" / "config").read_text() == "kept"


@pytest.mark.parametrize("file", ["curves.npz", "state/manifest.ocdbt"])
def test_a_damaged_end_is_said_and_another_copy_is_taken_or_its_members_count_as_unfinished(
    file, places, tmp_path
) -> None:
    other, said = shutil.copytree(places[1], tmp_path / "other"), []
    (damaged,) = other.glob(f"cohorts/*vanilla*/0000/6/{file}")
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-5] if file == "curves.npz" else content[:-1] + bytes([content[-1] ^ 1]))
    merged = merge((other, places[0]), tmp_path / "both", say=said.append)
    table = merged.members.set_index("member")["status"]
    shared, left = (m.id for m in load(places[1]).zoo.members if "vanilla" in m.id and m.seed in (3, 4))
    assert table[table == "training"].index.tolist() == [left]
    chex.assert_trees_all_equal(merged.variables(shared), load(places[0]).variables(shared))
    assert any(line.startswith("Step 6 is damaged: ") for line in said)
    assert any(line.startswith(f"2 members of {other}, trained by its members.csv, lack a whole end") for line in said)
    assert not verify(merged.path).faults


def test_who_was_tried_again_twice_is_both_and_who_began_elsewhere_is_not_said_to_have_here(places, tmp_path) -> None:
    paths = [Path(shutil.copytree(places[0], tmp_path / name)) for name in "ab"]
    first, second, third, _ = load(places[0]).members["member"]
    for path, pairs in zip(paths, ({"of": {first: second}}, {"of": {first: third}, "begins": {second: first}})):
        content = json.loads((path / "zoo.json").read_text())
        (path / "zoo.json").write_text(json.dumps({**content, "retries": [{"name": "x", "grids": [], **pairs}]}))
    content = merge(paths, tmp_path / "both", say=str).manifest
    assert tried_again(content) == {first: [second, third]}
    assert begun_from(content) == {}, "the copies that are taken began from their seeds"


def test_of_copies_with_other_bits_the_first_is_taken_and_one_that_is_finished_before_one_that_is_not(
    places, tmp_path
) -> None:
    other, said = tmp_path / "other", []
    train(of([2, 9], models=(VANILLA,)), other, quiet=True, block=1)
    member = load(places[0]).members["member"][2]
    step = next((other / "cohorts").iterdir()) / "0000" / "6"
    # Its networks in each other's place: what another recipe would do, at a larger scale.
    block = [BlockFolder(step.parent), BlockFolder(step.parent.parent / "0001")]
    save_gathered(block[0], 6, [Place(block[1], 0)], [member], 1)
    first = merge((places[0], other), tmp_path / "first", say=said.append)
    assert any(
        f"1 of them are not the same bits ({member}), and those of {places[0]} are taken" in line for line in said
    )
    chex.assert_trees_all_equal(first.variables(member), load(places[0]).variables(member))

    pending = shutil.copytree(other, tmp_path / "pending")
    shutil.rmtree(step.parent)
    (pending / "members.csv").unlink()
    shutil.rmtree(next((pending / "cohorts").iterdir()) / "0000")
    trained = merge((pending, places[0]), tmp_path / "second", say=str)
    assert set(trained.members["status"]) == {"unsolved"}
    chex.assert_trees_all_equal(trained.variables(member), load(places[0]).variables(member))


def test_what_is_unfinished_is_trained_later_with_the_bits_of_its_own_directory(places, tmp_path) -> None:
    half = tmp_path / "half"
    shutil.copytree(places[1], half)
    (half / "members.csv").unlink()
    for block in (half / "cohorts").glob("*gru*/0001"):
        shutil.rmtree(block / "6")
    path = merge((places[0], half), tmp_path / "both", say=str).path
    assert load(path).members["status"].tolist().count("training") == 2
    spec = load(path).zoo
    train(spec, path, quiet=True)
    ends, whole = states(path), states(places[1])
    for member in (m for m in ends if "gru" in m):
        chex.assert_trees_all_equal(ends[member]["variables"], whole[member]["variables"])


def changed(path: Path, what: str) -> None:
    """Make a directory one that was trained elsewhere."""
    if what == "CPU threads 4 and 8":
        for file in [path / "recipes.json", *(path / "cohorts").glob("*/cohort.json")]:
            file.write_text(file.read_text().replace('"threads": 4', '"threads": 8'))
        return
    content = json.loads((path / "zoo.json").read_text())
    content["versions" if "jax" in what else "environment"][what.split()[0]] = what.split()[-1]
    (path / "zoo.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "what", ["CPU threads 4 and 8", "LIBTPU_INIT_ARGS none and --fast", f"jax {jax.__version__} and 0.1"]
)
def test_directories_of_other_machines_are_merged_when_all_is_finished_and_nothing_is_trained_in_what_they_become(
    what, places, tmp_path
) -> None:
    other, third = (Path(shutil.copytree(places[1], tmp_path / name)) for name in ("other", "third"))
    changed(other, what)
    path = Path(merge((places[0], other), tmp_path / "both", say=str).path)
    nested = Path(merge((path, third), tmp_path / "nested", say=str).path)
    for place in (path, nested):
        zoo = load(place).zoo
        assert len(train(zoo, place, quiet=True).members) == 11, "nothing is left"
        with pytest.raises(ValueError, match=rf"differ in what decides bits \({what}\), and nothing is trained in it"):
            train(zoo + of([20], models=(GRU,)), place, quiet=True)
        content = load(place).manifest
        assert not {"environment", "versions", "hardware"} & content.keys()
    recorded = load(nested).manifest["merged"]
    assert [about["directory"] for about in recorded[0]["merged"]] == ["a", "other"]
    assert {"environment", "versions", "hardware", "cohorts"} <= recorded[0]["merged"][1].keys()
    shutil.rmtree(next(nested.glob("cohorts/*gru*/0001/6")))
    with pytest.raises(ValueError, match="train, or add members, where they came from, and merge again"):
        train(load(nested).zoo, nested, quiet=True)
    (other / "members.csv").unlink()
    for block in (other / "cohorts").glob("*gru*/0001"):
        shutil.rmtree(block)
    with pytest.raises(ValueError, match=rf"2 members of .*other are not trained to their end, .* \({what}\): train"):
        merge((places[0], other), tmp_path / "new", say=str)


def test_other_data_of_one_task_are_refused(places, tmp_path) -> None:
    paths = []
    for name in "ab":
        paths.append(tmp_path / name)
        shutil.copytree(places[0], paths[-1])
        content = json.loads((paths[-1] / "zoo.json").read_text())
        (paths[-1] / "zoo.json").write_text(json.dumps({**content, "data": {"{}": name}}))
    with pytest.raises(ValueError, match=r"have other data of the task \{\}: a, b"):
        merge(paths, tmp_path / "both", say=str)


def test_a_merge_grows_and_its_cohorts_continue_those_that_were_merged(merged, tmp_path) -> None:
    path = tmp_path / "zoo"
    shutil.copytree(merged[0], path)
    train(load(path).zoo + of([20], models=(GRU,)), path, quiet=True)
    cohorts = load(path).manifest["cohorts"]
    assert len(cohorts) == 5
    assert cohorts[load(path).zoo.cohorts[-1].id]["recipe"]["block"] == 2, "as the cohort that came from the second"


def test_compare_of_several_is_the_comparison_of_their_merge(places, tmp_path, capsys) -> None:
    out = tmp_path / "both"
    assert run_zoo.main(["compare", *map(str, places), "--out", str(out), "--measures", "cka"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "11 members of 2 directories are in" in said
    assert "comparing 11 members" in said
    assert (out / "analysis" / "flipflop.nc").exists()
