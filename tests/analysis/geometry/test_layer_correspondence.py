"""Layers against layers: what a loop over all pairs of networks gives, whichever networks can be asked."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis.geometry.layer_correspondence import DEPTHS, PAIR_KINDS, correspondence
from analysis.labelled_comparison import Comparison, LeftOut, Measured, MeasureRecord

SHALLOW, DEEP = ("conv1", "dense1"), ("conv1", "conv2", "conv3", "dense1")


def comparison(members, seed=0):
    """A random symmetric comparison of `(member, layers, configuration)`, trained and untrained; layers shuffled."""
    rows = [
        {"member": name, "layer": layer, "layer_depth": depth, "trained": trained, "seed": i, "channels": configuration}
        for i, (name, layers, configuration) in enumerate(members)
        for trained in (True, False)
        for depth, layer in enumerate(layers)
    ]
    draw = np.random.default_rng(seed)
    table = pd.DataFrame([rows[i] for i in draw.permutation(len(rows))]).assign(model="cnn", status="solved", units=8)
    vectors = draw.normal(size=(len(table), 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    states = ["" if trained else "/untrained" for trained in table["trained"]]
    names = (table["member"] + "/" + table["layer"] + states).to_numpy()
    record = MeasureRecord("cka", "similarity", 8)
    return Comparison(table.set_index(pd.Index(names)), {"cka": Measured(record, vectors @ vectors.T)}, layers="all")


def with_values(result, values):
    return dataclasses.replace(result, measures={"cka": dataclasses.replace(result.measures["cka"], values=values)})


def with_labels(result, **columns):
    return dataclasses.replace(result, items=result.items.assign(**columns))


MIXED = [("m0", DEEP, "x"), ("m1", SHALLOW, "y"), ("m2", DEEP, "x"), ("m3", SHALLOW, "y"), ("m4", DEEP, "z")]


def blocks(result, members, untrained=False):
    """The similarities of every ordered pair of different members, layers in order."""
    state = "/untrained" if untrained else ""
    for a, layers_a, x in members:
        for b, layers_b, y in members:
            if a != b:
                names = [[f"{m}/{layer}{state}" for layer in layers] for m, layers in ((a, layers_a), (b, layers_b))]
                rows = [result.items.index.get_indexer(part) for part in names]
                yield result.measures["cka"].values[np.ix_(*rows)], x == y, layers_a == layers_b


def bilinear(block):
    places = [np.linspace(0, 1, size) for size in block.shape]
    rows = np.stack([np.interp(DEPTHS, places[0], column) for column in block.T], axis=1)
    return np.stack([np.interp(DEPTHS, places[1], row) for row in rows])


def test_depths_are_averaged_over_pairs_as_in_a_loop():
    result = comparison(MIXED)
    found = correspondence(result, "cka", ["channels"])
    trained = list(blocks(result, MIXED))
    wanted = {
        PAIR_KINDS[0]: [bilinear(block) for block, same, _ in trained if same],
        PAIR_KINDS[1]: [bilinear(block) for block, same, _ in trained if not same],
        PAIR_KINDS[2]: [bilinear(block) for block, _, _ in blocks(result, MIXED, untrained=True)],
    }
    assert [len(of_kind) for of_kind in wanted.values()] == found["pairs"].to_numpy().tolist() == [4, 16, 20]
    for kind, of_kind in wanted.items():
        np.testing.assert_allclose(found["similarity"].sel(kind=kind), np.mean(of_kind, axis=0), atol=1e-6)
    assert "layers" not in found, "networks of different depth share no layers"


def test_layers_are_identified_as_in_a_loop_beside_their_chance():
    result = comparison(MIXED)
    found = correspondence(result, "cka", ["channels"])
    for state in ("trained", "untrained"):
        pairs = [block for block, _, alike in blocks(result, MIXED, state == "untrained") if alike]
        shares = [np.mean(block.argmax(1) == np.arange(len(block))) for block in pairs]
        here = found.sel(state=state)
        assert int(here["identified_pairs"]) == len(pairs) == 8
        assert float(here["identified"]) == pytest.approx(np.mean(shares))
        assert float(here["identified_chance"]) == pytest.approx((6 / 4 + 2 / 2) / 8)


def test_networks_of_one_list_of_layers_also_get_the_plain_mean():
    members = [(f"m{i}", DEEP, "x") for i in range(4)]
    result = comparison(members)
    found = correspondence(result, "cka", ["channels"])
    plain = found["layers"].sel(kind=PAIR_KINDS[0])
    np.testing.assert_allclose(plain, np.mean([block for block, _, _ in blocks(result, members)], axis=0), atol=1e-6)
    assert plain["layer_a"].to_numpy().tolist() == list(DEEP)
    assert np.isnan(found["similarity"].sel(kind=PAIR_KINDS[1])).all(), "there is no other configuration"
    assert found["identified_layer"].sel(state="trained").mean() == pytest.approx(float(found["identified"][0]))


def test_copies_of_one_network_identify_every_layer():
    members = [(f"m{i}", DEEP, "x") for i in range(3)]
    result = comparison(members)
    place = {layer: i for i, layer in enumerate(DEEP)}
    codes = [place[layer] for layer in result.items["layer"]]
    result = with_values(result, np.eye(4)[codes] @ np.eye(4)[codes].T)
    assert correspondence(result, "cka")["identified"].to_numpy().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("why", ["excluded", "undefined", "diverged"])
def test_networks_that_are_not_whole_do_not_count(why):
    result = comparison(MIXED)
    without = correspondence(result.select(np.flatnonzero(result.items["member"] != "m4")), "cka", ["channels"])
    if why == "excluded":
        lost = (LeftOut("m4/conv2", "m4", "conv2"), LeftOut("m4/dense1/untrained", "m4", "dense1", False))
        result = result.select(np.flatnonzero(~result.items.index.isin([item.name for item in lost])))
        result = dataclasses.replace(result, excluded=lost)
    elif why == "undefined":
        gone = result.items.index.isin(["m4/conv1", "m4/conv1/untrained"])
        values = np.where(gone[:, None] | gone[None], np.nan, result.measures["cka"].values)
        result = with_values(result, values)
    else:
        result = with_labels(result, status=np.where(result.items["member"] == "m4", "diverged", "solved"))
        without_untrained = without["similarity"].sel(kind=PAIR_KINDS[2])
        whole = correspondence(result, "cka", ["channels"])
        assert not np.allclose(whole["similarity"].sel(kind=PAIR_KINDS[2]), without_untrained), (
            "before training it is whole"
        )
        np.testing.assert_allclose(whole["similarity"][:2], without["similarity"][:2], atol=1e-6)
        return
    xr.testing.assert_allclose(correspondence(result, "cka", ["channels"]), without)


def test_networks_that_share_a_seed_are_no_pair():
    """They start alike, and are near copies."""
    members = [("m0", DEEP, "x"), ("m1", DEEP, "y"), ("m2", DEEP, "y")]
    result = comparison(members)
    result = with_labels(result, seed=[0 if member in ("m0", "m1") else 1 for member in result.items["member"]])
    assert correspondence(result, "cka", ["channels"])["pairs"].to_numpy().tolist() == [2, 2, 4]


def test_networks_of_one_layer_leave_nothing_to_average():
    found = correspondence(comparison([("m0", ("rate",), "x"), ("m1", ("rate",), "x")]), "cka")
    assert found.attrs["networks"] == 0
    assert int(found["pairs"].sum()) == 0
    assert np.isnan(found["similarity"]).all()
