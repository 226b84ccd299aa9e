"""The guides say what the program does: every block of Python in them runs, and prints what stands below it."""

import contextlib
import io
import itertools
import re
import shutil
from pathlib import Path

import pytest

from tests.analysis.assayed_zoo import directory

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
SECTIONS = dict(part.split("\n", 1) for part in ("Start\n" + GUIDE).split("\n## "))
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d*\.\d+")
PARTS = re.compile(r"# (models|zoo|analysis|study)/")
"""How a block begins that is the file of a part: tests/test_extending.py runs those."""
OTHERS = [
    pytest.param(code, id=f"{path.name} {i}")
    for path in [
        ROOT / "README.md",
        ROOT / "SECURITY.md",
        *sorted(ROOT.glob("docs/*.md")),
        ROOT / "benchmarks/README.md",
    ]
    for i, (code, _) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))
    if path.name != "measures.md" and not PARTS.match(code)
]
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
        text = printed(code, names)
        assert NUMBER.sub("#", text) == NUMBER.sub("#", shown.rstrip("\n")), text
        for number, expected in zip(NUMBER.findall(text), NUMBER.findall(shown)):
            unit = 10.0 ** -len(number.partition(".")[2])  # another machine may round the last digit the other way
            assert abs(float(number) - float(expected)) < 1.1 * unit, f"{number} is not {expected}, in\n{text}"


def test_every_measure_has_its_row_and_its_example_in_the_guide() -> None:
    from zoo import lookup

    table = [line for line in SECTIONS["Start"].splitlines() if line.startswith("|")]
    examples = [code for code, _ in BLOCK.findall(GUIDE)]
    for name in lookup.names("measure"):
        assert any(f"`{name}" in row.split("|")[2] for row in table[2:]), name
        assert any(f'"{name}' in code for code in examples), name


def columns_in(guide: str) -> dict[str, set[str]]:
    """File of a comparison -> the columns that the table below its name lists."""
    blocks = guide.split("\n\n")
    tables = {
        re.findall(r"`analysis/<task>(-\w+\.csv)`", above)[-1]: block
        for above, block in itertools.pairwise(blocks)
        if block.startswith("| column")
    }
    return {
        end: {name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
        for end, table in tables.items()
    }


def test_the_columns_of_every_table_of_a_comparison_are_those_that_the_guide_lists(tmp_path: Path) -> None:
    import pandas as pd
    import xarray as xr

    from analysis import artefacts
    from analysis.scoring.recording_scores import SCORE_COLUMNS
    from analysis.zoo_comparison import Request, compare_zoo

    zoo = Path(shutil.copytree(directory(), tmp_path / "zoo"))
    request = Request(["rsa"], "digits", ["dense1"], export=["csv"], nulls=19, intervals=True)
    compare_zoo(zoo, request, say=lambda line: None)
    written = {artefacts.SCORES: {*SCORE_COLUMNS}}
    for end in (artefacts.MEANS, artefacts.FIELDS, artefacts.CATEGORIES, artefacts.EXPORTS["csv"]):
        written[end] = set(pd.read_csv(artefacts.path_of(zoo, "digits", end)))
    pairs = written[artefacts.EXPORTS["csv"]]
    pairs |= {f"<label>{name[-2:]}" for name in pairs if name[-2:] in ("_a", "_b")}
    pairs -= {name for name in pairs if name[-2:] in ("_a", "_b") and name[0] != "<"}
    listed = columns_in((ROOT / "docs" / "comparing.md").read_text(encoding="utf-8"))
    assert {end: columns for end, columns in listed.items() if end in artefacts.ENDS} == written
    for end in (artefacts.COMPARISON, artefacts.MEAN_RDMS):
        with xr.open_dataset(artefacts.path_of(zoo, "digits", end), engine="h5netcdf") as result:
            for name, variable in result.variables.items():
                assert {"long_name", "units"} <= set(variable.attrs), name


def test_lines_of_the_guide_fit_a_screen() -> None:
    wide = [line for line in GUIDE.splitlines() if len(line) > 140 and not line.startswith("|")]
    assert not wide, wide


@pytest.mark.parametrize("code", OTHERS)
def test_every_other_block_of_python_in_the_docs_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a small zoo in the place of that of the demo."""
    (tmp_path / "zoos").mkdir()
    (tmp_path / "zoos" / "demo").symlink_to(directory())
    monkeypatch.chdir(tmp_path)
    exec(code, {})
