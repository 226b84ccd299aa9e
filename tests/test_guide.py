"""The guide to the measures says what the program does: its examples run, and print what stands below them."""

import contextlib
import io
import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parent.parent / "docs" / "measures.md").read_text(encoding="utf-8")
SECTIONS = dict(part.split("\n", 1) for part in ("Start\n" + GUIDE).split("\n## "))
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d*\.\d+")
EXAMPLES = [name for name, text in SECTIONS.items() if name != "Start" and BLOCK.search(text)]


def printed(code: str, names: dict) -> str:
    """What a block prints; it sees and changes the names of its section."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@pytest.mark.parametrize("section", EXAMPLES)
def test_examples_of_the_guide_print_what_it_says(section: str) -> None:
    names: dict = {}
    for code, shown in BLOCK.findall(SECTIONS["Start"]) + BLOCK.findall(SECTIONS[section]):
        found = printed(code, names)
        assert NUMBER.sub("#", found) == NUMBER.sub("#", shown.rstrip("\n")), found
        for one, other in zip(NUMBER.findall(found), NUMBER.findall(shown)):
            unit = 10.0 ** -len(one.partition(".")[2])  # another machine may round the last digit the other way
            assert abs(float(one) - float(other)) < 1.1 * unit, f"{one} is not {other}, in\n{found}"


def test_every_measure_has_its_row_and_its_example_in_the_guide() -> None:
    from zoo import lookup

    table = [line for line in SECTIONS["Start"].splitlines() if line.startswith("|")]
    examples = [code for code, _ in BLOCK.findall(GUIDE)]
    for name in lookup.names("measure"):
        assert any(f"`{name}" in row.split("|")[2] for row in table[2:]), name
        assert any(f'"{name}' in code for code in examples), name


def test_lines_of_the_guide_fit_a_screen() -> None:
    wide = [line for line in GUIDE.splitlines() if len(line) > 140 and not line.startswith("|")]
    assert not wide, wide
