"""The house: imports point one way, files stay small, every file of a folder is found by its name."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from zoo import lookup
from zoo.spec.contracts import class_of

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "zoo", "analysis", "run_zoo")
ALLOWED = {"models": {"models"}, "zoo": {"models", "zoo"}, "analysis": {"models", "zoo", "analysis"}}
FILES = [path for room in ALLOWED for path in sorted((ROOT / room).rglob("*.py"))]
PLUG_INS = {
    ROOT / package.replace(".", "/")
    for package in (*lookup.FOLDERS.values(), "analysis.report.pages", "analysis.formats")
}


FLOORS = {
    "zoo": (
        ("keys", "machine", "wording"),
        ("lookup",),
        ("buckets",),
        ("files",),
        ("data",),
        ("rules", "tasks"),
        ("spec",),
        ("training",),
        ("devices",),
        ("store",),
        ("running",),
        ("launch",),
        ("presets", "terminal"),
    ),
    "analysis": (
        ("arithmetic", "artefacts", "words"),
        ("labelled_comparison",),
        ("geometry", "measures"),
        ("dynamics",),
        ("topology",),
        ("formats",),
        ("activations",),
        ("recordings",),
        ("engine",),
        ("inference",),
        ("comparison_files", "scoring"),
        ("assays", "comparison", "exports"),
        ("zoo_assays", "zoo_comparison"),
        ("report",),
        ("studies",),
        ("zoo_study",),
    ),
}
"""The rooms of a package from the ground up: each imports from floors below its own, and from itself."""


SHARED_NAMES = {
    **dict.fromkeys(("ORDER", "TAKES"), "what the contract of pages asks of each"),
    **dict.fromkeys(("EVALUATION", "PROBE"), "every task's own keys"),
    "SUFFIXES": "what the contract of forms asks of each",
    "HOMES": "where a package's lazy names live",
    "TAKEN": "what a rule may take, and the same words in a sentence",
}
"""Constants of which several modules have their own, and why."""


def modules(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it."""
    return {name.split(".")[0] for name in modules(path)}


def floor(room: str, name: str) -> int:
    """How high a package or module of a room stands."""
    return next(i for i, names in enumerate(FLOORS[room]) if name in names)


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES if path.name == "__init__.py"}
    assert sorted(listed) == sorted(there)


def test_imports_inside_a_package_point_down() -> None:
    for path in FILES:
        room, own, *_ = *path.relative_to(ROOT).with_suffix("").parts, ""
        for name in modules(path) if room in FLOORS and own != "__init__" else ():
            other, first, *_ = *name.split("."), ""
            if other == room and first != own and any(first in names for names in FLOORS[room]):
                assert floor(room, first) < floor(room, own), f"{path} imports {name}"


def test_no_module_is_named_like_what_it_defines() -> None:
    for path in FILES:
        body = ast.parse(path.read_text()).body
        defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert path.stem not in defined or path.parent.name == "presets", path


def upper_case_names(path: Path) -> set[str]:
    """The constants that a module defines, without the underscore of private ones."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign | ast.AnnAssign)]
    written = [each for node in assigned for each in ast.walk(node) if isinstance(each, ast.Name)]
    names = {each.id.strip("_") for each in written if isinstance(each.ctx, ast.Store)}
    return {name for name in names if name.isupper()}


def test_no_constant_of_one_name_stands_in_two_modules() -> None:
    homes: dict[str, list[str]] = {}
    for path in [*FILES, ROOT / "run_zoo.py"]:
        for name in upper_case_names(path) - SHARED_NAMES.keys():
            homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: paths for name, paths in homes.items() if len(paths) > 1}


def test_no_package_holds_more_than_a_dozen_files_besides_the_plug_in_folders() -> None:
    for folder in {path.parent for path in FILES} - PLUG_INS:
        assert len(list(folder.glob("[!_]*.py"))) <= 12, folder


def test_imports_point_from_models_to_zoo_to_analysis() -> None:
    for path in FILES:
        assert imports(path) & set(ROOMS) <= ALLOWED[path.relative_to(ROOT).parts[0]], path


def test_files_stay_under_400_lines() -> None:
    for path in [*FILES, ROOT / "run_zoo.py"]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_every_module_is_tested_in_the_file_of_its_name_but_plug_ins_and_modules_that_begin_with_an_underscore() -> (
    None
):
    """These are tested in the file of their contract or family."""
    for path in FILES:
        name = path.relative_to(ROOT).with_name(f"test_{path.name}")
        assert path.parent in PLUG_INS or path.name.startswith("_") or (ROOT / "tests" / name).is_file(), path


def test_models_know_only_jax_and_flax() -> None:
    standard = {"collections", "dataclasses", "functools", "math", "typing"}
    for path in sorted((ROOT / "models").glob("*.py")):
        assert imports(path) <= {"models", "jax", "flax", "jaxtyping"} | standard, path


@pytest.mark.parametrize(("kind", "contract"), [("model", "Model"), ("task", "Task"), ("rule", "Rule")])
def test_every_file_of_a_folder_is_found_by_its_name(kind: str, contract: str) -> None:
    for name in lookup.names(kind):
        assert hasattr(lookup.find(kind, name), contract)
        assert lookup.describe(kind, name)


def test_every_model_task_and_rule_has_what_its_protocol_asks_for() -> None:
    for kind in ("model", "task", "rule"):
        for name in lookup.names(kind):
            class_of(kind, name)


def test_every_preset_defines_a_zoo_with_its_own_name_and_a_command() -> None:

    assert {"demo", "flipflop", "sine", "context"} <= set(lookup.names("preset"))
    for name in lookup.names("preset"):
        module = lookup.find("preset", name)
        assert f"python run_zoo.py run {name} --out zoos/{name}" in (module.__doc__ or "")
        assert module.zoo.name == name
        assert len(module.zoo.members) == len({m.id for m in module.zoo.members})


@pytest.mark.parametrize("kind", list(lookup.FOLDERS))
def test_a_wrong_name_is_answered_with_the_nearest(kind: str) -> None:
    name = lookup.names(kind)[0]
    with pytest.raises(ValueError, match=f"Unknown {kind} '{name}x'; the nearest (is|are) .*'{name}'"):
        lookup.find(kind, name + "x")


def test_zoo_imports_lazily() -> None:
    code = (
        "import sys, zoo; assert 'jax' not in sys.modules; from zoo import load; load; assert 'flax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=240)
    assert importlib.import_module("zoo").__all__


@pytest.mark.parametrize(
    ("foreign", "words"),
    [
        ("models", ["-c", "from zoo import load"]),
        ("models", ["run_zoo.py", "list"]),
        ("analysis", ["run_zoo.py", "list"]),
    ],
)
def test_another_package_of_an_everyday_name_is_named_in_one_sentence(
    foreign: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / f"{foreign}.py").write_text("")
    command = [sys.executable, *(str(ROOT / word) if word.endswith(".py") else word for word in words)]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == (2 if "run_zoo.py" in words else 1)
    last = done.stderr.strip().splitlines()[-1]
    assert (
        f"`import {foreign}` finds {tmp_path / foreign}.py and not {ROOT / foreign}, which this program needs" in last
    )
    assert "run_zoo.py" not in words or len(done.stderr.strip().splitlines()) == 1


def test_docs_name_only_files_and_modules_that_there_are() -> None:
    for path in [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for name in re.findall(r"`((?:models|zoo|analysis|tests|benchmarks)/[\w/]+\.py)`", text):
            assert (ROOT / name).is_file(), f"{path.name} names {name}"
    rooms = re.findall(r"^\| `.*$", (ROOT / "docs" / "house.md").read_text(), re.MULTILINE)
    for row in rooms:
        for name in re.findall(r"`([\w/]+\.py)`", row):
            assert list(ROOT.glob(f"*/{name}")) or list(ROOT.glob(f"*/*/{name}")), f"docs/house.md names {name}"
