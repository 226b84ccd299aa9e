"""Layer by layer: which depth of one network is like which depth of another, over all pairs of members."""

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis.labelled_comparison import Comparison, MeasureRecord
from models import is_before_nonlinearity
from zoo.training.status import DIVERGED_WORD

__all__ = ["DEPTHS", "PAIR_KINDS", "correspondence"]

DEPTHS = np.linspace(0, 1, 11)
"""Depths at which networks of different depth are averaged: 0 is a network's first layer, 1 its last."""

PAIR_KINDS = ("same configuration, other seed", "other configuration, other seed", "untrained, other seed")
"""The pairs of networks that are averaged; the first two are of trained networks."""


class Networks(NamedTuple):
    """The networks of a comparison, a member in one state each.

    Attributes:
      layers: names, in order, one tuple per distinct list of layers.
      items: for each list, the places of its networks' layers in the comparison, `(network, layer)`.
      rows: for each list, its networks' rows of the table.
      table: one row per network: member, trained, seed, configuration, architecture, counts.
    """

    layers: list[tuple[str, ...]]
    items: list[np.ndarray]
    rows: list[np.ndarray]
    table: pd.DataFrame


def correspondence(comparison: Comparison, variable: str, fields: list[str] | tuple[str, ...] = ()) -> xr.Dataset:
    """How alike each depth of one network and each of another are, averaged over the pairs of each kind.

    A network's L layers lie evenly from 0, its first, to 1, its last; a pair's L_a x L_b similarities are interpolated
    bilinearly to 11 x 11 depths, and these are averaged over both orders of all pairs of networks of other seeds. The
    average comes before the interpolation, which is linear: networks with one list of layers are one array
    `(network, layer, network, layer)`, and no pair is ever looked at alone.

    Layer identification is that of Kornblith et al. (2019, Similarity of neural network representations revisited,
    sec. 6.1): of the layers of two networks of one architecture (model, layers and unit counts) and other seeds, the
    share whose most similar layer in the other network is the corresponding one. Chance is 1 / L.

    Diverged members, networks of one layer and networks of which a layer was left out or is undefined do not count.

    Args:
      comparison: of a zoo's representations, every layer with every layer.
      variable: which of its measures.
      fields: the columns that make a configuration, without the seed.

    Returns:
      `similarity (kind, depth_a, depth_b)`, with the measure's record in its attributes, and `pairs (kind)`, each in
      both orders; `identified (state)`, `identified_pairs` and `identified_chance`, for state trained and untrained.
      Where all networks have the same layers also `layers (kind, layer_a, layer_b)` and
      `identified_layer (state, layer_a)`. NaN where there is no pair.
    """
    similarity, record = comparison.measures[variable].values, comparison.measures[variable].record
    networks = _networks(comparison, fields, np.isfinite(similarity.diagonal()))
    table = networks.table
    trained, seed, configuration, architecture = (
        table[column].to_numpy() for column in ("trained", "seed", "configuration", "architecture")
    )
    total = np.zeros((len(PAIR_KINDS), len(DEPTHS), len(DEPTHS)))
    pairs = np.zeros(len(PAIR_KINDS), int)
    plain = None
    hits: list[np.ndarray] = []
    for layers, items, rows in zip(*networks[:3]):
        for others, other_items, other_rows in zip(*networks[:3]):
            block = similarity[np.ix_(items.reshape(-1), other_items.reshape(-1))]
            block = block.reshape(*items.shape, *other_items.shape)
            a, b = rows[:, None], other_rows[None]
            apart = seed[a] != seed[b]  # near copies otherwise
            both, same = trained[a] & trained[b] & apart, configuration[a] == configuration[b]
            fresh = ~trained[a] & ~trained[b] & apart
            kinds = np.stack([both & same, both & ~same, fresh])
            summed = np.einsum("kij,iajb->kab", kinds.astype(np.float64), block, optimize=True)
            total += _interpolation(len(layers)) @ summed @ _interpolation(len(others)).T
            pairs += kinds.sum((1, 2))
            if len(networks.layers) == 1:
                plain = summed
            if layers == others:
                alike = architecture[a] == architecture[b]
                nearest = block.argmin(3) if record.kind == "distance" else block.argmax(3)
                identified = nearest == np.arange(len(layers))[:, None]  # (network, layer, network)
                counts = np.stack([alike & both, alike & fresh]).astype(np.float64)
                hits.append(np.einsum("sij,iaj->sa", counts, identified, optimize=True))
                hits.append(counts.sum((1, 2)))
    return _dataset(networks, total, pairs, plain, hits, record)


def _networks(comparison: Comparison, fields: Any, defined: np.ndarray) -> Networks:
    """The networks whose layers are all there and `defined`, `(item,)`; diverged ones are left out."""
    items: Any = comparison.items.assign(item=np.arange(len(defined)), defined=defined)
    if "layer_depth" in items:
        before = items["layer"].map(is_before_nonlinearity).astype(bool)
        items = items.assign(first=~before).sort_values(["layer_depth", "first", "item"], kind="stable")
    broken = {(item.member, item.trained) for item in comparison.excluded}
    lists: dict[tuple[str, ...], list[Any]] = {}
    rows = []
    groups: Any = items.groupby(["member", "trained"], sort=False)
    for (member, trained), part in groups:
        layers = tuple(part["layer"])
        first = part.iloc[0]
        if len(layers) < 2 or not part["defined"].all() or (member, trained) in broken:
            continue
        if trained and first.get("status") == DIVERGED_WORD:
            continue
        lists.setdefault(layers, []).append((len(rows), part["item"].to_numpy()))
        rows.append(
            {
                "member": member,
                "trained": trained,
                "seed": first["seed"],
                "configuration": "\x1f".join(str(first[field]) for field in fields),
                "architecture": f"{first.get('model')} {layers} {tuple(part['units'])}",
            }
        )
    table = pd.DataFrame(rows, columns=["member", "trained", "seed", "configuration", "architecture"])
    table = table.astype({"trained": bool})
    return Networks(
        list(lists),
        [np.stack([item for _, item in of_list]) for of_list in lists.values()],
        [np.array([row for row, _ in of_list]) for of_list in lists.values()],
        table,
    )


def _interpolation(layers: int) -> np.ndarray:
    """`(depth, layer)`: weights that interpolate layers spread evenly over 0 to 1 at `DEPTHS`."""
    places = DEPTHS * (layers - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(layers)))


def _dataset(
    networks: Networks,
    total: np.ndarray,
    pairs: np.ndarray,
    plain: np.ndarray | None,
    hits: list[np.ndarray],
    record: MeasureRecord,
) -> xr.Dataset:
    """What `correspondence` returns; `hits` are in turn the identified layers and the counts of networks tried."""
    with np.errstate(invalid="ignore"):
        mean = total / pairs[:, None, None]
        alike = record.attributes() | {"long_name": f"{record.name}, mean over pairs of networks"}
        variables: dict[str, Any] = {"similarity": (("kind", "depth_a", "depth_b"), mean.astype(np.float32), alike)}
        variables["pairs"] = ("kind", pairs, {"long_name": "pairs of networks, in both orders"})
        identified, counts = hits[::2], hits[1::2]
        lengths = np.array([part.shape[1] for part in identified])
        tried = np.array(counts).reshape(-1, 2)
        right = np.array([part.sum(1) for part in identified]).reshape(-1, 2)
        # A network's share is over its layers: pairs of deep networks count as much as pairs of shallow ones.
        share = {"long_name": "share of layers whose most similar layer is the corresponding one"}
        chance = {"long_name": "the same share of layers chosen at random"}
        variables["identified"] = ("state", (right / lengths[:, None]).sum(0) / tried.sum(0), share)
        variables["identified_chance"] = ("state", (tried / lengths[:, None]).sum(0) / tried.sum(0), chance)
        variables["identified_pairs"] = ("state", tried.sum(0).astype(int), {"long_name": "pairs that it is over"})
        kinds = ("kind", list(PAIR_KINDS), {"long_name": "kind of the pairs of networks"})
        states = ("state", ["trained", "untrained"], {"long_name": "state of the networks"})
        coords: dict[str, Any] = {"kind": kinds, "state": states}
        coords |= {"depth_a": DEPTHS, "depth_b": DEPTHS}
        if plain is not None:
            names = list(networks.layers[0])
            coords |= {"layer_a": names, "layer_b": names}
            plain = plain / pairs[:, None, None]
            variables["layers"] = (("kind", "layer_a", "layer_b"), plain.astype(np.float32), alike)
            variables["identified_layer"] = (("state", "layer_a"), identified[0] / counts[0][:, None], share)
    about = {"networks": len(networks.table), "lists": json.dumps(networks.layers)}
    return xr.Dataset(variables, coords, about)
