"""What a zoo directory says of itself, and what is not believed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.zoo.small_zoos import FOUR, TWELVE, unchanged
from zoo import Zoo, load, train
from zoo.store.manifest import create, read_manifest


def test_the_manifest_says_spec_versions_hardware_recipe_and_precision(path: Path) -> None:
    manifest = read_manifest(path)
    assert Zoo.from_json(manifest["spec"]) == TWELVE
    assert {"jax", "flax", "optax", "orbax-checkpoint", "python"} <= manifest["versions"].keys()
    assert manifest["hardware"]["platform"] == "cpu"
    for cohort in manifest["cohorts"].values():
        assert cohort["recipe"] == {"block": 4, "inner": "map", "conv_form": "columns", "threads": 4, "llvm": 1}
        assert cohort["precision"] == "highest"
        assert cohort["evaluate_every"] == 2


def test_a_spec_is_expanded_once_for_all_who_load_it_and_anew_when_members_are_added(tmp_path: Path) -> None:
    create(tmp_path, FOUR)
    assert load(tmp_path).zoo is load(tmp_path).zoo
    file = tmp_path / "zoo.json"
    retries = [FOUR.replace("seeds", [7]).to_json()]
    file.write_text(json.dumps({**json.loads(file.read_text()), "retries": retries}))
    assert [member.seed for member in load(tmp_path).zoo.members] == [0, 1, 2, 3, 7]


MERGED = '{"format": 2, "spec": {}, "cohorts": {}, "merged": [%s]}'


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 99, "spec": {}, "cohorts": {}}']
    + [MERGED % about for about in ("3", '{"machines": 3}', '{"machines": [3]}')],
)
def test_a_bad_manifest_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "zoo.json").write_text(content)
    with pytest.raises(ValueError, match=r"zoo\.json") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_directory_of_an_older_or_a_newer_version_is_refused_and_nothing_changes(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(path, tmp_path / "zoo"))
    manifest = json.loads((copy / "zoo.json").read_text())
    for number, word in ((1, "an older"), (99, "another")):
        (copy / "zoo.json").write_text(json.dumps({**manifest, "format": number}))
        before = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}
        for use in (load, lambda copy: train(TWELVE, copy, quiet=True)):
            with pytest.raises(ValueError, match=rf"has format {number}, of {word} version of this program"):
                use(copy)
        after = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file() and not p.name.startswith(".")}
        assert after == before


def test_a_manifest_that_was_edited_by_hand_is_refused_and_nothing_changes(four_copy: Path) -> None:
    original = (four_copy / "zoo.json").read_text()
    edits = {
        "has been changed: its cohorts are not those of its spec": original.replace('"members": 4', '"members": 5'),
        r"holds another spec: .*steps is 7 there and 6 here": original.replace('"steps": 6', '"steps": 7'),
        r"zoo\.json cannot be read": original[:-9],
    }
    for sentence, text in edits.items():
        assert text != original
        (four_copy / "zoo.json").write_text(text)
        before = unchanged(four_copy)
        with pytest.raises(ValueError, match=sentence):
            train(FOUR, four_copy, quiet=True)
        assert unchanged(four_copy) == before
