"""Whatever stands in a file of a zoo directory: it is read, or refused by a ValueError in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.rig import ZOOS, folders
from zoo import load, train
from zoo.files import read_arrays
from zoo.launch.share_progress import Listener
from zoo.spec.zoo import Zoo
from zoo.store.manifest import read_manifest, zoo_of

EXAMPLES = {False: 300, True: 2000}
"""Cases of each test in CI, and in the long run: eight tests, so more than 10,000."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["../x", "/etc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "zoo"
    train(ZOOS["rnn"].replace("seeds", 1), path, quiet=True)
    return path


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    found = [path]
    if isinstance(value, dict):
        for key, each in value.items():
            found += places(each, (*path, key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            found += places(each, (*path, i))
    return found


def changed(value: Any, path: tuple, new: Any, how: str) -> Any:
    """A JSON value with one place replaced, removed, or named otherwise."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and how == "removed":
        del copy[path[0]]
    elif len(path) == 1 and how == "renamed" and isinstance(copy, dict):
        copy[str(new)] = copy.pop(path[0])
    else:
        copy[path[0]] = changed(value[path[0]], path[1:], new, how)
    return copy


@st.composite
def documents(draw: Any, original: bytes) -> bytes:
    """A JSON file with a few places changed, or a few bytes, or cut off."""
    if draw(st.booleans()):
        content = bytearray(original)
        for _ in range(draw(st.integers(1, 3))):
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)
    value = json.loads(original)
    for _ in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["replaced", "removed", "renamed"]))
        value = changed(value, draw(st.sampled_from(places(value))), draw(VALUES), how)
        if not isinstance(value, (dict, list)):
            break
    return json.dumps(value).encode()


def read_or_refused(read: Callable[[], Any]) -> None:
    sentence = "read"
    try:
        read()
    except ValueError as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence, sentence


def fuzzed(examples: int, original: bytes, read: Callable[[bytes], Any]) -> None:
    """Many variants of a file, each read or refused."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(documents(original))
    def run(content: bytes) -> None:
        read_or_refused(lambda: read(content))

    run()


def scrambled(examples: int, original: bytes, read: Callable[[bytes], Any]) -> None:
    """Many files with a few bytes changed, each read or refused."""

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def run(changes: list[tuple[int, int]]) -> None:
        content = bytearray(original)
        for at, byte in changes:
            content[at] = byte
        read_or_refused(lambda: read(bytes(content)))

    run()


long = pytest.mark.parametrize("examples", [EXAMPLES[False], pytest.param(EXAMPLES[True], marks=pytest.mark.long)])


@long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["zoo.json", "recipes.json", "cohorts/*/cohort.json"])
def test_any_manifest_is_read_or_refused(name: str, examples: int, whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "zoo"))
    (file,) = copy.glob(name)

    def read(content: bytes) -> None:
        file.write_bytes(content)
        found = read_manifest(copy)
        assert zoo_of(found, copy).cohorts is not None
        assert all("/" not in cohort and not cohort.startswith(".") for cohort in found["cohorts"])

    fuzzed(examples, file.read_bytes(), read)


@long
@pytest.mark.timeout(1200)
def test_any_spec_is_read_or_refused(examples: int, whole: Path) -> None:
    original = json.dumps(json.loads((whole / "zoo.json").read_text())["spec"]).encode()

    def read(content: bytes) -> None:
        spec = json.loads(content)
        assert Zoo.from_json(spec).cohorts is not None

    fuzzed(examples, original, read)


@long
@pytest.mark.timeout(1200)
def test_any_checkpoint_manifest_is_read_or_refused_and_never_leads_out_of_its_folder(
    examples: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.store import sealing
    from zoo.store.sealing import sealed_manifest, verify_step

    copy = Path(shutil.copytree(whole, tmp_path / "zoo"))
    folder = folders(copy)[0].path / "0"
    file = folder / "manifest.json"

    def read(content: bytes) -> None:
        for again in (content, resealed(content)):
            file.write_bytes(again)
            for use in (sealed_manifest, verify_step):
                read_or_refused(lambda use=use: inside(folder, use(folder, 0)))

    def resealed(content: bytes) -> bytes:
        """As somebody would write it who knows how: the seal is right, what it seals is not."""
        try:
            value = json.loads(content)
            value.pop("seal", None)
            return sealing._line({**value, "seal": sealing._sha256(sealing._line(value))})
        except (ValueError, AttributeError, TypeError):
            return content

    fuzzed(examples, file.read_bytes(), read)


def inside(folder: Path, content: dict[str, Any]) -> None:
    for name in content["files"]:
        assert (folder / name).resolve().is_relative_to(folder.resolve()), name


@long
@pytest.mark.timeout(1200)
def test_any_curves_are_read_or_refused(examples: int, whole: Path) -> None:
    folder = folders(whole)[0]
    original = (folder.path / "0" / "curves.npz").read_bytes()

    scrambled(examples, original, read_arrays)


@long
@pytest.mark.timeout(1200)
def test_whatever_a_share_tells_is_shown_or_said_to_be_unreadable(examples: int, tmp_path: Path) -> None:
    class View:
        def compiling(self, cohort: str) -> None: ...
        def report(self, progress: Any) -> None: ...
        def say(self, text: str) -> None: ...

    told = {
        "attempt": "1 2",
        "blocks": {"a/0": {"taken": 4, "status": [0], "step": [4], "loss": [None], "score": [0.5]}},
        "said": ["x"],
        "compiling": ["a"],
    }
    (tmp_path / ".progress").mkdir()

    def read(content: bytes) -> None:
        (tmp_path / ".progress" / "0.json").write_bytes(content)
        Listener(tmp_path, View()).listen(0)

    fuzzed(examples, json.dumps(told).encode(), read)


@long
@pytest.mark.timeout(1200)
def test_any_member_table_is_read_or_refused(examples: int, whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "zoo"))
    original = (copy / "members.csv").read_bytes()

    def read(content: bytes) -> None:
        (copy / "members.csv").write_bytes(content)
        _ = load(copy).members

    scrambled(examples, original, read)
