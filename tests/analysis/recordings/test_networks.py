"""Networks trained elsewhere: layers in order, stimuli by label, maps as the zoo's, a table of what they are."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from analysis.activations.spaces import parse
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.networks import read_networks

NAMES = np.array([f"object_{i}" for i in range(6)])
SHOWN = ShownStimuli(6, {"stimulus_id": NAMES})
DRAW = np.random.default_rng(0)
MAPS, FLAT = DRAW.normal(size=(6, 4, 4, 3)), DRAW.normal(size=(6, 8))
ORDER = np.array([3, 1, 5, 0, 2, 4])


def folder_of(path: Path, table: str = "", **networks: dict[str, Any]) -> Path:
    path.mkdir(exist_ok=True)
    for name, arrays in networks.items():
        np.savez(path / f"{name}.npz", **arrays)
    if table:
        (path / "networks.csv").write_text(table)
    return path


def test_layers_come_in_their_order_at_the_stimuli_shown_and_maps_as_the_zoos(tmp_path: Path) -> None:
    arrays = dict(late=FLAT[ORDER], early=MAPS[ORDER].transpose(0, 3, 1, 2), stimulus_id=NAMES[ORDER])
    folder = folder_of(tmp_path / "torch", alexnet=arrays, vgg=dict(conv=MAPS, fc=FLAT))
    lines: list[str] = []
    groups, fields = read_networks(folder, SHOWN, parse("mean"), lines.append)
    found = {name: x for group in groups for name, x in zip(group.names, group.array)}
    for name in ("alexnet/early", "vgg/conv"):
        np.testing.assert_allclose(found[name], MAPS.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(found["alexnet/late"], FLAT, atol=1e-6)
    assert lines == ["alexnet: 2 layers, late, early", "vgg: 2 layers, conv, fc"]
    assert fields == []
    labels = {name: row for group in groups for name, row in zip(group.names, group.labels.to_dict("records"))}
    assert labels["vgg/fc"] == {
        **dict(member="vgg", layer="fc", layer_depth=1, cohort="torch", task="", status="solved", model="vgg", seed=0),
        **dict(score=labels["vgg/fc"]["score"], trained=True, copies=1),
    }
    groups, _ = read_networks(folder, SHOWN, parse("units"))
    assert {group.array.shape[1:] for group in groups} == {(6, 48), (6, 8)}


def test_the_table_says_what_networks_are(tmp_path: Path) -> None:
    table = "network,model,score,trained,depth\nalexnet,cnn,0.6,true,8\nalexnet0,cnn,0.1,false,8\n"
    folder = folder_of(tmp_path / "n", table, alexnet=dict(fc=FLAT), alexnet0=dict(fc=FLAT * 2))
    ((group,), fields) = read_networks(folder, SHOWN, parse("mean"))
    assert group.names == ("alexnet/fc", "alexnet0/fc/untrained")
    assert list(group.labels["score"]) == [0.6, 0.1]
    assert fields == ["depth"]


def test_layers_of_a_form_without_an_order_are_sorted_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    with h5py.File(tmp_path / "h" / "net.h5", "w") as file:
        for name in ("conv10", "conv2", "conv1"):
            file[name] = FLAT
    groups, _ = read_networks(tmp_path / "h", SHOWN, parse("mean"))
    assert list(groups[0].labels["layer"]) == ["conv1", "conv2", "conv10"]


BAD = {
    "no file": ("", {}, "holds no networks; it must have a file of layers per network"),
    "no column": ("name\na\n", dict(a=dict(fc=FLAT)), r"networks\.csv has no column network; its columns: name"),
    "no such file": ("network\nb\n", dict(a=dict(fc=FLAT)), r"names 'b', of which there is no file"),
    "no row": ("network\na\n", dict(a=dict(fc=FLAT), b=dict(fc=FLAT)), "has no row for 'b', of which there is a file"),
    "two rows": ("network\na\na\n", dict(a=dict(fc=FLAT)), "has two rows for 'a'; leave one"),
    "stimuli": ("", dict(a=dict(fc=FLAT[:5])), "has 5 stimuli and the networks were shown 6"),
    "part": (
        "",
        dict(a=dict(fc=FLAT[:5], stimulus_id=NAMES[:5])),
        "must be of each of the 6 stimuli shown once",
    ),
    "channels": ("", dict(a=dict(conv=DRAW.normal(size=(6, 4, 4, 4)))), "whose axis of channels cannot be told"),
    "NaN": ("", dict(a=dict(fc=np.where(FLAT > 1, np.nan, FLAT))), r"fc in .*a\.npz holds \d+ values that are NaN"),
    "no layers": ("", dict(a=dict(stimulus_id=NAMES)), "holds no layers: arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_join_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    table, networks, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        read_networks(folder_of(tmp_path / "n", table, **networks), SHOWN, parse("mean"))
    assert "\n" not in str(caught.value)
