"""What a kill between two saves of a snapshot, or after a save of a rule's state, costs: nothing."""

import signal
from pathlib import Path
from typing import Any

import chex
import pytest

from tests.faults import rig
from tests.faults.specs import ruled, snapped
from zoo import Zoo, load, train
from zoo.devices import default_recipes
from zoo.devices.startup import lanes
from zoo.running import packing
from zoo.store.checkpoints import block_folders
from zoo.training.program import State


def killed_and_resumed(spec: str, out: Path, hold: Path, waiting: int, *flags: str) -> None:
    """Two processes: one that is killed once so many blocks or packs wait, and one that goes on from what it left."""
    words = rig.command(spec, out)[:-1]  # without its --save-every
    hold.touch()
    process = rig.start([*words, *flags], HOLD=str(hold))
    try:
        rig.wait_until(lambda: len(list(hold.parent.glob(f"{hold.name}.*"))) == waiting, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()
    hold.unlink()
    statuses = set(load(out).members["status"])
    assert "training" in statuses, "it was killed before it had saved, or after it was done"
    rig.finished(rig.start(words, HOLD=str(hold)))


@pytest.mark.long
def test_rules_that_are_killed_after_a_save_end_with_the_same_bits_and_remember_the_same(tmp_path: Path) -> None:
    whole = train(ruled.zoo, tmp_path / "whole", quiet=True)
    killed_and_resumed("ruled", tmp_path / "zoo", tmp_path / "hold", 2, "--save-every=0.001")
    again = load(tmp_path / "zoo")
    assert (again.members["steps"] == 1000).all()
    for cohort in ruled.zoo.cohorts:
        ids = [member.id for member in cohort.members]
        chex.assert_trees_all_equal(*(z.variables(ids, rule_state=True) for z in (again, whole)))
        first, last = (whole.variables(ids, rule_state=True, at=at)["rule"] for at in ("initial", "last"))
        with pytest.raises(AssertionError):  # else there was nothing to lose
            chex.assert_trees_all_equal(first, last)
    rig.assert_same(rig.everything(again.path), rig.everything(whole.path))


@pytest.mark.long
def test_a_kill_between_two_snapshots_of_packed_blocks_costs_no_bit_of_them_and_none_of_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(default_recipes.TABLE, ("cpu", "recurrent"), (4, "vmap", "columns"))
    packed, real = [], packing.Pack.save_snapshots

    def save_snapshots(self: packing.Pack) -> None:
        packed.append(len(self.loaded))
        real(self)

    monkeypatch.setattr(packing.Pack, "save_snapshots", save_snapshots)
    whole = train(snapped.zoo, tmp_path / "whole", quiet=True, devices=lanes()[:1])
    assert max(packed) > 1, "no pack of several blocks"
    killed_and_resumed("snapped", tmp_path / "zoo", tmp_path / "hold", 1)
    again = load(tmp_path / "zoo")
    rig.assert_same(rig.everything(again.path), rig.everything(whole.path))
    assert snapshots(again.path, snapped.zoo) == snapshots(whole.path, snapped.zoo)


def snapshots(path: Path, zoo: Zoo) -> dict[tuple[str, int], Any]:
    """(Block, step) -> bytes of everything that a snapshot of it holds."""
    (cohort,) = zoo.cohorts
    found = {}
    for folder in block_folders(path):
        for step in cohort.members[0].training.snapshots:
            rows = folder.rows(step, range(4), State._fields)
            found[folder.path.name, step] = repr(_bytes(rows)), repr(_bytes(folder.curves(step)))
    assert len(found) == 4 * len(snapped.SNAPSHOTS)
    return found


def _bytes(tree: Any) -> Any:
    return {name: _bytes(of) for name, of in sorted(tree.items())} if isinstance(tree, dict) else tree.tobytes()
