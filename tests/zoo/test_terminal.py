"""What the terminal shows: tables that stay plain, and nothing that steers it."""

from pathlib import Path

import pytest

import run_zoo
from tests.zoo.small_zoos import FOUR
from zoo import train


def test_a_large_zoo_is_shown_in_rows_of_their_own(capsys: pytest.CaptureFixture) -> None:
    from zoo.terminal import LONG, print_table

    print_table(["name", "value"], [(f"row{i}", i / 4) for i in range(LONG + 1)], "title")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["title", "name    value", "row0    0"]
    assert lines[-1] == f"row{LONG}  {LONG / 4:.5g}"


def test_control_characters_in_a_file_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:

    copy = Path(train(FOUR, tmp_path / "zoo", quiet=True).path)
    table = copy / "members.csv"
    table.write_text(table.read_text().replace(",solved,", ",\x1b[2J,").replace(",unsolved,", ",\x1b[2J,"))
    assert run_zoo.main(["show", str(copy)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2J" in said


def test_a_default_that_is_an_empty_text_is_shown_as_one(capsys: pytest.CaptureFixture) -> None:
    assert run_zoo.main(["list", "images"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("--task.file")]
    assert line.split()[1] == '""'
