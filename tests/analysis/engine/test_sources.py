"""What a kept number was made by: the files that a plug-in imports of this program, however far, and no others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.engine import sources
from analysis.engine.sources import source_hash
from zoo.spec.own_parts import of_folder

FILES = {
    "analysis/assays/__init__.py": "",
    "analysis/assays/depth.py": "from analysis.assays import _shared\nimport numpy",
    "analysis/assays/width.py": "",
    "analysis/assays/_shared.py": "def late():\n    from models.deep import Model",
    "models/deep/__init__.py": "import models.layers as layers",
    "models/layers.py": "import analysis.assays.depth  # in a ring",
    "other/thing.py": "",
}


@pytest.fixture
def after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The hash of `depth` where a file has something more in it."""
    monkeypatch.setattr(sources, "ROOT", tmp_path)

    def after(changed: str = "") -> str:
        for name, text in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text + "\nx = 1" * (name == changed))
        source_hash.cache_clear()
        sources._imported.cache_clear()
        return source_hash("analysis.assays.depth")

    yield after
    source_hash.cache_clear()
    sources._imported.cache_clear()


@pytest.mark.parametrize("file", FILES)
def test_a_change_counts_in_what_a_file_imports_of_this_program_directly_or_not(
    file: str, after: Callable[..., str]
) -> None:
    assert (after(file) != after()) == (file not in ("analysis/assays/width.py", "other/thing.py"))
    assert after() == after()


def test_what_has_no_source_is_never_the_same_again() -> None:
    one = source_hash("typed_in_somewhere")
    source_hash.cache_clear()
    assert source_hash("typed_in_somewhere") != one


def test_a_networks_code_counts_in_a_measure_of_it() -> None:
    names = ("analysis.assays.lesions", "models.vanilla")
    assert source_hash(*names) != source_hash(names[0], "models.gru")


def test_a_part_of_ones_own_is_the_same_in_every_process_and_another_with_what_it_imports(tmp_path: Path) -> None:
    """Each place numbers its modules anew, as each process does that reads a zoo directory."""
    (tmp_path / "beside.py").write_text("from models import vanilla")
    (tmp_path / "mine.py").write_text("import beside\nclass Task: ...")

    def hashed() -> str:
        return source_hash(of_folder(tmp_path).load("mine").__name__)

    first = hashed()
    assert hashed() == first
    (tmp_path / "beside.py").write_text("from models import gru")
    assert hashed() != first
