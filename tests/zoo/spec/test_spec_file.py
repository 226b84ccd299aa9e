"""The zoo that a command line asks for."""

from pathlib import Path

import pytest

from zoo.spec.spec_file import read_spec, take_overrides
from zoo.tasks import mnist

FILE = """
from models import cnn
from zoo import Zoo
from zoo.tasks import digits

zoo = Zoo("own", task=digits.Task(), model=cnn.Model())
"""


def test_flags_of_fields_are_told_from_the_commands_own() -> None:
    words = ["train", "demo", "--training.steps", "5", "--out", "x", "--seeds=3", "--model.kernel", "(3, 5)"]
    rest, overrides = take_overrides(words)
    assert rest == ["train", "demo", "--out", "x"]
    assert overrides == [("training.steps", "5"), ("seeds", "3"), ("model.kernel", "(3, 5)")]
    with pytest.raises(ValueError, match=r"The flag --model\.hidden has no value"):
        take_overrides(["--model.hidden"])


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
