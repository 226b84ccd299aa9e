"""Frozen members stop costing: skipped one by one, repacked where a block runs all at once; nobody's bits change.

A snapshot that is lost or damaged is named by `verify` and by readers, and made again by `train`, bit for bit.
"""

import functools
import operator
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chex
import jax
import pytest

import run_zoo
from models import cnn, vanilla
from tests.faults.rig import assert_same, everything, folders
from tests.zoo.small_zoos import tiny
from zoo import Training, Zoo, load, product, train
from zoo.devices import default_recipes, startup
from zoo.devices.blocks import blocks_of
from zoo.devices.executable import Executable
from zoo.devices.recipe import Recipe
from zoo.devices.startup import lanes
from zoo.running import cohort_queue, packing
from zoo.running.loaded_block import load_block
from zoo.store.checkpoints import BlockFolder
from zoo.store.directory import Store
from zoo.store.sealing import CheckpointCorrupt
from zoo.store.verification import verify
from zoo.tasks import digits, flipflop
from zoo.training.program import State


def of_seed(seed: int, task: Any, model: Any, target: float) -> Zoo:
    """Of every seed one member that diverges, one that soon reaches the target, and two that do not."""
    rates = product(
        Training,
        learning_rate=[1e7, 0.3, 0.03, 1e-5],
        optimizer="sgd",
        schedule="cosine",
        steps=195,  # the last evaluation is off the interval
        batch=4,
        evaluate_every=10,
        target=target,
    )
    return Zoo("frozen", task=task, model=model, training=rates, seeds=[seed])


# One after the other, so that every block of four has one of each.
FLIPFLOP, RNN = flipflop.Task(steps=6, eval_trials=8, probe_trials=8), vanilla.Model(hidden=4)
ZOO = functools.reduce(operator.add, (of_seed(seed, FLIPFLOP, RNN, 0.6) for seed in range(4)))


# The same of networks with batch statistics and dropout.
CNN = cnn.Model(channels=(2,), dense=(4,), normalization="batch", dropout=0.2)
IMAGES = functools.reduce(operator.add, (of_seed(seed, digits.Task(shift=1.0), CNN, 0.13) for seed in range(4)))


@pytest.fixture(params=["vmap", 2])
def inner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A CPU that runs blocks of four all at once, or in groups of two, as accelerators do."""
    for family in ("recurrent", "convolutional"):
        monkeypatch.setitem(default_recipes.TABLE, ("cpu", family), (4, request.param, "columns"))
    return request.param


@pytest.mark.parametrize(
    ("inner", "zoo", "devices", "call_seconds", "part"),
    [
        (2, ZOO, 1, 1e9, 0.7),
        pytest.param("vmap", ZOO, 3, 1e9, 0.95, marks=pytest.mark.long),
        pytest.param("vmap", ZOO, 1, 1e-9, 0.7, marks=pytest.mark.long),
        ("vmap", IMAGES, 1, 1e9, 0.8),
        pytest.param(2, IMAGES, 1, 1e9, 0.8, marks=pytest.mark.long),
    ],
    indirect=["inner"],
)
def test_repacked_blocks_keep_every_bit_and_take_fewer_steps(
    inner: Any,
    zoo: Zoo,
    devices: int,
    call_seconds: float,
    part: float,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # A call goes to the next evaluation, however slow the machine; or takes one step, and is saved now and then.
    monkeypatch.setattr(packing, "CALL_SECONDS", call_seconds)
    steps: list[int] = []
    real, found = Executable.advance, {}

    def advance(self: Any, state: Any, floats: Any, device: Any, count: int, evaluate: bool) -> Any:
        steps.append(count)
        return real(self, state, floats, device, count, evaluate)

    monkeypatch.setattr(Executable, "advance", advance)
    for repacked in (True, False):
        steps.clear()
        if not repacked:
            monkeypatch.setattr(cohort_queue.CohortQueue, "swap", lambda self, running: [])
        out = tmp_path / str(repacked)
        trained = train(zoo, out, quiet=True, devices=lanes()[:devices], save_every=0.05)
        found[repacked] = everything(out), sum(steps)
        assert {"diverged", "unsolved"} <= set(trained.members["status"])
        assert trained.members["steps"].between(11, 194).any(), "nobody reaches the target on the way"
    assert_same(found[True][0], found[False][0])
    assert found[True][1] < part * found[False][1]


def test_a_repacked_zoo_that_was_stopped_goes_on_with_the_same_bits(
    inner: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = everything(train(ZOO, tmp_path / "whole", quiet=True).path)
    taken, real = [], packing.Pack.take_in

    class Broken(Exception):
        pass

    def take_in(self: Any, more: Any) -> None:
        real(self, more)
        taken.append(len(self.loaded))
        self.save()
        raise Broken

    monkeypatch.setattr(packing.Pack, "take_in", take_in)
    for _ in range(3):
        try:
            train(ZOO, tmp_path / "zoo", quiet=True, devices=lanes()[:1])
        except Broken:
            continue
    monkeypatch.undo()
    assert any(count > 1 for count in taken)
    assert_same(everything(train(ZOO, tmp_path / "zoo", quiet=True).path), expected)


def test_a_frozen_member_is_not_computed_where_members_run_one_by_one() -> None:
    """The loop over steps has no round left for it: an hour of steps takes no time."""
    (cohort,) = (ZOO.replace("training.steps", 10**9).replace("seeds", 1)).cohorts
    recipe = Recipe(4, "map", "columns", startup.threads())
    program, device = Executable(cohort, recipe), jax.local_devices()[0]
    block = blocks_of(cohort, recipe)[0]
    state = program.init(block, device)
    state = state._replace(status=jax.device_put(jax.numpy.full(4, 2, jax.numpy.int32), device))
    floats = jax.device_put(block.floats, device)
    end = jax.device_get(program.advance(state, floats, device, 10**9, True))
    assert (end.step == 0).all()


def test_blocks_of_a_pack_are_saved_once_at_each_of_their_own_snapshots_and_once_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where one stands at its last step while another has some to go, and calls are short."""
    rates = product(Training, learning_rate=[1e30, 1e-3], steps=15, batch=4, evaluate_every=4, snapshots=(6, 13, 15))
    zoo = Zoo("one", task=FLIPFLOP, model=RNN, training=rates, seeds=[0])
    zoo += Zoo("one", task=FLIPFLOP, model=RNN, training=rates, seeds=[1])
    (cohort,), device, saves = zoo.cohorts, jax.local_devices()[0], []
    program = Executable(cohort, Recipe(2, "vmap", "columns", startup.threads()))
    real = BlockFolder.save

    def save(self: BlockFolder, step: int, *content: Any) -> None:
        saves.append((self.path.name, step))
        real(self, step, *content)

    loaded = []
    for block, steps in zip(blocks_of(cohort, program.recipe), ([4, 4, 4], [4])):  # one is at 12, the other at 4
        folder = BlockFolder(tmp_path / str(block.index), snapshots=(6, 13, 15))
        pack = packing.Pack(program, [load_block(program, block, folder, device)], device)
        for count in steps:
            pack.advance(count, evaluate=True)
        pack.save()
        loaded += pack.loaded
    monkeypatch.setattr(packing, "CALL_SECONDS", 1e-9)
    monkeypatch.setattr(BlockFolder, "save", save)
    pack = packing.Pack(program, loaded, device)
    assert pack.running == 2
    packing.train_pack(pack, save_every=1e9, stop=threading.Event(), tell=lambda loaded, taken: None)
    assert sorted(saves) == [("0", 13), ("0", 15), ("1", 6), ("1", 13), ("1", 15)]


SNAPPED = tiny(steps=12, snapshots=(3, 4, 8))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshots") / "zoo"
    return train(SNAPPED, path, quiet=True, block=2).path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "zoo"))


def content(folder: BlockFolder, step: int) -> tuple[Any, Any]:
    """All that a checkpoint holds."""
    return folder.rows(step, range(2), State._fields), folder.curves(step)


def flipped(step: Path) -> None:
    file = max((step / "state").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


HOW: dict[str, Callable[[Path], Any]] = {
    "flipped": flipped,
    "unsealed": lambda step: (step / "manifest.json").unlink(),
    "lost": shutil.rmtree,
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("steps", [(4,), (0, 3, 8)])
def test_a_broken_snapshot_is_named_with_what_mends_it_and_made_again_as_it_was(
    how: str, steps: tuple[int, ...], copy: Path, whole: Path, capsys: pytest.CaptureFixture
) -> None:
    block, theirs = folders(copy)[1], folders(whole)[1]
    for step in steps:
        HOW[how](block.path / str(step))
    assert run_zoo.main(["verify", str(copy)]) == 1
    said = capsys.readouterr()
    assert f"{len(steps)} fault" in said.err
    for step in steps:
        (line,) = [line for line in said.out.splitlines() if f"tep {step}" in line]
        assert str(block.path) in line
        assert line.endswith("; `train` on the same directory mends it.")
    member = load(copy).zoo.members[2].id
    with pytest.raises(ValueError, match=rf"{steps[-1]}.*; `(train|verify)`"):
        load(copy).params(member, at=steps[-1])
    trained = train(SNAPPED, copy)
    assert capsys.readouterr().out.count("again") >= len(steps)
    assert run_zoo.main(["verify", str(copy)]) == 0
    assert block.steps() == theirs.steps() == [0, 3, 4, 8, 12]
    for step in block.steps():
        chex.assert_trees_all_equal(content(block, step), content(theirs, step))
    assert_same(everything(copy), everything(whole))
    chex.assert_trees_all_equal(trained.params(member, at=4), load(whole).params(member, at=4))


def test_a_damaged_checkpoint_that_is_no_snapshot_is_to_be_removed(whole: Path, tmp_path: Path) -> None:
    """Nobody needs it: `train` makes none again that would go anyhow."""
    copy = train(SNAPPED, tmp_path / "zoo", quiet=True, block=2, keep=9, save_every=1e-9).path
    block = folders(copy)[0]
    step = next(step for step in block.steps() if step not in (0, 3, 4, 8, 12))
    flipped(block.path / str(step))
    with pytest.raises(CheckpointCorrupt, match="`verify` says what to do"):
        load(copy).params(load(copy).zoo.members[0].id, at=step)
    (fault,) = verify(copy).faults
    assert fault.endswith(f"newer ones are whole, so remove {block.path / str(step)}.")
    shutil.rmtree(block.path / str(step))
    assert verify(copy).faults == []
    assert_same(everything(copy), everything(whole))


def test_a_run_that_is_stopped_leaves_a_lost_snapshot_to_the_next(copy: Path, whole: Path) -> None:
    (cohort,), stop = SNAPPED.cohorts, threading.Event()
    store = Store(copy, SNAPPED)
    recipe = store.recipe(cohort.id)
    assert recipe is not None
    executable, folder = Executable(cohort, recipe), store.block(cohort.id, 0)
    shutil.rmtree(folder.path / "8")
    stop.set()
    for lost in ([8], []):
        packing.remake(executable, blocks_of(cohort, recipe)[0], folder, jax.local_devices()[0], stop)
        assert folder.lost() == lost
        stop.clear()
    chex.assert_trees_all_equal(content(folder, 8), content(folders(whole)[0], 8))
