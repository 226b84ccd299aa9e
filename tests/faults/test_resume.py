"""Resuming: from every save point, on other devices, while members are frozen or diverged, with the same bits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults.rig import ROOT, ZOOS, assert_same, command, everything, finished, folders, start
from zoo import load, train
from zoo.devices.startup import lanes
from zoo.training.status import DIVERGED, STOPPED


@pytest.fixture(scope="module", params=[pytest.param("rnn", marks=pytest.mark.long), "cnn"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A zoo whose every checkpoint was kept, one call of training between two of them."""
    from zoo.running import packing

    path = tmp_path_factory.mktemp(request.param) / "zoo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "CALL_SECONDS", 0.02)
        train(ZOOS[request.param], path, quiet=True, block=2, keep=10**6, save_every=1e-9)
    return request.param, path


@pytest.mark.timeout(900)
def test_from_every_save_point_every_member_ends_with_the_same_bits(kept: tuple[str, Path], tmp_path: Path) -> None:
    name, path = kept
    expected = everything(path)
    points = sorted({step for folder in folders(path) for step in folder.steps()})
    assert len(points) >= 5
    every = max(1, len(points) // 6)  # of many, some; the first and the last are among them
    states = set()
    for i, point in enumerate(sorted({*points[::every], points[-1]})):
        copy = Path(shutil.copytree(path, tmp_path / str(point)))
        for folder in folders(copy):
            for step in folder.steps():
                if step > point:
                    shutil.rmtree(folder.path / str(step))
            curves = folder.curves()
            states |= set((curves or {})["member_status"].tolist())
        train(ZOOS[name], copy, quiet=True, devices=lanes()[: 1 + i % 4])
        assert_same(everything(copy), expected)
        shutil.rmtree(copy)
    assert states >= ({STOPPED, DIVERGED} if name == "rnn" else {STOPPED})


def test_members_are_frozen_and_diverged_at_the_step_that_the_table_names(kept: tuple[str, Path]) -> None:
    name, path = kept
    table, steps = load(path).members, ZOOS[name].grids[0].training[0].steps
    if name == "rnn":
        assert set(table.loc[table["learning_rate"] == 1e6, "status"]) == {"diverged"}
        assert (table.loc[table["status"] == "diverged", "steps"] < steps).all()
        assert (table.loc[table["learning_rate"] < 1, "steps"] < steps).any(), "a target that nobody reaches"
    else:
        assert (table["steps"] == steps).all()


@pytest.mark.parametrize("count", [pytest.param("1", marks=pytest.mark.long), "8"])
def test_one_and_eight_devices_give_the_bits_of_four(count: str, kept: tuple[str, Path], tmp_path: Path) -> None:
    name, path = kept
    finished(start(command(name, tmp_path / "zoo", "--block", "1"), JAX_NUM_CPU_DEVICES=count))
    assert_same(everything(tmp_path / "zoo"), everything(path))


def test_clocks_are_not_read_so_files_from_the_future_and_the_past_change_nothing(
    kept: tuple[str, Path], tmp_path: Path
) -> None:
    name, path = kept
    copy = Path(shutil.copytree(path, tmp_path / "zoo"))
    for i, file in enumerate(sorted(p for p in copy.rglob("*") if p.is_file())):
        os.utime(file, (i % 2 * 4e9, i % 2 * 4e9))
    for folder in folders(copy):
        for step in folder.steps()[2:]:
            shutil.rmtree(folder.path / str(step))
    train(ZOOS[name], copy, quiet=True)
    assert_same(everything(copy), everything(path))


def test_a_checkpoint_is_one_that_orbax_reads(kept: tuple[str, Path]) -> None:
    """What is stored needs this program only for its labels."""
    _, path = kept
    folder = folders(path)[0]
    code = (
        "import sys, json, orbax.checkpoint as ocp; tree = ocp.PyTreeCheckpointer().restore(sys.argv[1]);"
        "print(json.dumps([sorted(tree), [int(s) for s in tree['step']]]))"
    )
    place = str(folder.path / str(folder.steps()[-1]) / "state")
    done = subprocess.run([sys.executable, "-c", code, place], cwd=ROOT, text=True, capture_output=True, timeout=240)
    assert '"params"' in done.stdout, done.stderr
    curves: Any = folder.curves()
    assert f"[{', '.join(map(str, np.asarray(curves['member_step']).tolist()))}" in done.stdout
