"""The house: imports point one way, files stay small, every file of a folder is found by its name."""

import ast
import importlib
from pathlib import Path

import pytest

from zoo import lookup

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "zoo", "analysis", "run_zoo")
ALLOWED = {"models": {"models"}, "zoo": {"models", "zoo"}, "analysis": {"models", "zoo", "analysis"}}
FILES = [path for room in ALLOWED for path in sorted((ROOT / room).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_from_models_to_zoo_to_analysis(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert imports(path) & set(ROOMS) <= ALLOWED[room]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_under_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_models_know_only_jax_and_flax() -> None:
    standard = {"collections", "dataclasses", "functools", "math", "typing"}
    for path in sorted((ROOT / "models").glob("*.py")):
        assert imports(path) <= {"models", "jax", "flax"} | standard, path


@pytest.mark.parametrize(("kind", "contract"), [("model", "Model"), ("task", "Task"), ("rule", "Rule")])
def test_every_file_of_a_folder_is_found_by_its_name(kind: str, contract: str) -> None:
    for name in lookup.names(kind):
        assert hasattr(lookup.find(kind, name), contract)
        assert lookup.describe(kind, name)


def test_every_preset_defines_a_zoo_with_its_own_name_and_a_command() -> None:
    from zoo.spec import members

    assert {"demo", "flipflop", "sine", "context"} <= set(lookup.names("preset"))
    for name in lookup.names("preset"):
        module = lookup.find("preset", name)
        assert f"python run_zoo.py run {name} --out zoos/{name}" in (module.__doc__ or "")
        assert module.zoo.name == name
        assert len(members(module.zoo)) == len({m.id for m in members(module.zoo)})


@pytest.mark.parametrize("kind", list(lookup.FOLDERS))
def test_a_wrong_name_is_answered_with_the_nearest(kind: str) -> None:
    name = lookup.names(kind)[0]
    with pytest.raises(ValueError, match=f"Unknown {kind} '{name}x'; the nearest (is|are) .*'{name}'"):
        lookup.find(kind, name + "x")


def test_zoo_imports_lazily() -> None:
    import subprocess
    import sys

    code = (
        "import sys, zoo; assert 'jax' not in sys.modules; from zoo import load; load; assert 'flax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=240)
    assert importlib.import_module("zoo").__all__
