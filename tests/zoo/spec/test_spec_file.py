"""The zoo that a command line asks for."""

import json
from pathlib import Path

import pytest

from models import vanilla
from zoo import Zoo
from zoo.spec.spec_file import read_spec
from zoo.tasks import flipflop, mnist

FILE = """
from models import cnn
from zoo import Zoo
from zoo.tasks import digits

zoo = Zoo("own", task=digits.Task(), model=cnn.Model())
"""


def test_a_file_is_read_with_another_task_and_fields_set(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(FILE)
    zoo = read_spec(str(file), [("training.steps", "5"), ("model.kernel", "(3, 5)"), ("activation", "tanh")], "mnist")
    (member,) = zoo.members
    assert member.task == mnist.Task()
    assert (member.training.steps, member.model.kernel, member.model.activation) == (5, (3, 5), "tanh")


def test_a_file_that_defines_no_zoo_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("zoo = 3")
    with pytest.raises(ValueError, match="must define `zoo`, a Zoo; it has int"):
        read_spec(str(file))
    with pytest.raises(ValueError, match="is no file"):
        read_spec(str(tmp_path / "none.py"))


def test_a_zoo_directory_and_its_zoo_json_are_a_spec_whose_fields_flags_set(tmp_path: Path) -> None:
    given = Zoo("made", task=flipflop.Task(steps=9), model=vanilla.Model(hidden=3), seeds=2)
    (tmp_path / "zoo.json").write_text(json.dumps({"format": 2, "cohorts": {}, "spec": given.to_json()}))
    for spec in (tmp_path, tmp_path / "zoo.json"):
        assert read_spec(str(spec)) == given
    assert {member.training.steps for member in read_spec(str(tmp_path), [("training.steps", "7")]).members} == {7}


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": 1}', "[]", "nothing", '{"format": 1, "spec": {}, "cohorts": {}}'),
        '{"format": 2, "cohorts": {}, "spec": {"name": "x", "grids": [{}]}}',
        '{"format": 2, "cohorts": {}, "spec": {}, "parts": ["mine"]}',
        '{"format": 2, "cohorts": {}, "spec": {}, "own": ["mine"]}',
        '{"format": 2, "cohorts": {}, "spec": {}, "own": {"task": ["mine"]}}',
    ],
)
def test_a_json_that_is_no_spec_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "zoo.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"manifest|is not a spec|cannot be read|has format 1|are no parts of"
    ) as caught:
        read_spec(str(tmp_path / "zoo.json"))
    assert "\n" not in str(caught.value)


def test_what_is_there_and_no_python_file_is_told_from_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("zoo = 3")
    for there in ("notes.txt", "./notes.txt", str(tmp_path)):
        with pytest.raises(ValueError, match="is no Python file; give one that defines `zoo`"):
            read_spec(there)
    with pytest.raises(ValueError, match="Unknown preset 'demos'; the nearest is 'demo'"):
        read_spec("demos")
    (tmp_path / "demo").mkdir()
    assert read_spec("demo").name == "demo", "a preset, whatever lies here"


def test_an_unknown_argument_of_a_zoo_is_told_with_the_zoos_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(FILE.replace("cnn.Model()", "cnn.Model(), seed=2"))
    with pytest.raises(ValueError, match="unexpected keyword argument 'seed'; the nearest is 'seeds'"):
        read_spec(str(file))
