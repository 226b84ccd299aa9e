"""The files of a comparison: every name stands once, and what was not written to its end is not a comparison."""

import ast
from pathlib import Path

import pytest

from analysis import artefacts

ANALYSIS = Path(artefacts.__file__).parent


def texts(path: Path) -> set[str]:
    """The string constants of a file that are not docstrings."""
    tree = ast.parse(path.read_text())
    lone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in lone)
    return {node.value for node in constants if isinstance(node.value, str)}


@pytest.mark.parametrize("end", [end for end in artefacts.ENDS if end.startswith("-")])
def test_the_end_of_a_file_name_is_spelled_in_one_place(end: str) -> None:
    spelled = [path.name for path in sorted(ANALYSIS.rglob("*.py")) if any(end in text for text in texts(path))]
    assert spelled == ["artefacts.py"]


def test_a_comparison_without_its_last_file_is_not_listed(tmp_path: Path) -> None:
    for name, end in [("digits", artefacts.COMPARISON), ("sine", artefacts.COMPARISON), ("sine", artefacts.FIELDS)]:
        path = artefacts.path_of(tmp_path, name, end)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert artefacts.names(tmp_path) == ["sine"]
