"""Parts are found by the names of their files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo import lookup

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", list(lookup.FOLDERS))
def test_a_description_is_the_first_line_of_the_modules_docstring(kind: str) -> None:
    for name in lookup.names(kind):
        assert lookup.describe(kind, name) == (lookup.find(kind, name).__doc__ or "").strip().split("\n")[0] != ""


def test_listing_and_describing_import_none_of_the_parts() -> None:
    code = (
        "import sys; from zoo import lookup;"
        "[lookup.describe(kind, name) for kind in lookup.FOLDERS for name in lookup.names(kind)];"
        "assert not {'jax', 'models.gru', 'zoo.tasks', 'analysis.measures'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=240)


@pytest.mark.parametrize(
    ("name", "available", "end"),
    [
        ("hiden", ["hidden", "gain"], "the nearest is 'hidden'"),
        ("cka1", ["cka2", "cka3", "rsa"], "the nearest are 'cka3', 'cka2'"),
        ("x", ["abc", "def"], "there are abc, def"),
        ("x", [], "there are none"),
        ("zzz", [f"member-{i}" for i in range(30)], "there are 30, such as member-0, member-1, member-2"),
    ],
)
def test_a_wrong_name_is_answered_with_what_is_near_or_with_all(name: str, available: list[str], end: str) -> None:
    assert lookup.nearest(name, available) == end


def test_what_the_code_of_a_part_runs_into_is_told_with_its_file_and_line() -> None:
    source = "def rate(q):\n    if q is None:\n        raise ValueError('it needs q')\n    return q['a']"
    code = compile(source, "", "exec")
    part: dict[str, Any] = {"__name__": "models.mine"}
    exec(code, part)
    for given, said in (
        ({}, "models/mine.py, line 4: KeyError: 'a'"),
        (None, "it needs q"),
        (7, "models/mine.py, line 4: TypeError: 'int' object is not subscriptable"),
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011, the whole sentence is compared
            part["rate"](given)
        assert lookup.placed(caught.value) == said
