"""Answers of the study of universality on planted populations: what is there is found, what is not is said."""

import itertools
import math
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from analysis.studies import universality as study
from analysis.studies._answers import AGREES, DISAGREES, UNDECIDED
from analysis.studies._results import ALL, Pairs, Results
from zoo.tasks import context

GRID = {"model": ["gru", "vanilla"], "activation": ["relu", "tanh"], "hidden": [32, 64], "l2": [1e-6, 1e-5, 1e-4, 1e-3]}
SEEDS = 2


def table(task: str, grid: dict[str, list[Any]] = GRID) -> pd.DataFrame:
    rows = [
        dict(zip(grid, values)) | {"seed": seed} for values in itertools.product(*grid.values()) for seed in range(2)
    ]
    found = pd.DataFrame(rows).assign(task=task, status="solved")
    found["gain"] = np.where(found["model"] == "gru", 0.25, 1.0)  # as in the study: cells differ in this, too
    return found.assign(member=[f"m{i}" for i in range(len(found))]).set_index("member", drop=False)


class Planted(Results):
    """Networks with what was planted of them.

    Attributes:
      planted: name of a comparison -> distances; name of an assay -> its result.
    """

    def __init__(self, members: pd.DataFrame, state: str = ALL, **planted: Any):
        task = SimpleNamespace(task=lambda member: context.Task())
        super().__init__(task, state)  # pyright: ignore[reportArgumentType]
        object.__setattr__(self, "planted", planted)
        object.__setattr__(self, "rows", members)

    @cached_property
    def members(self) -> pd.DataFrame:
        return self.rows

    def pairs(self, name: str, variable: str, layer: str, *, true: bool = True) -> Pairs:
        return Pairs(self.planted["topology_distances" if name.endswith("topology") else "geometry"], self.members)

    def assay(self, name: str, **options: Any) -> xr.Dataset:
        return self.planted[name]


def graphs(members: pd.DataFrame, saddles: np.ndarray, points: np.ndarray | None = None) -> xr.Dataset:
    """Networks with two stable points, or `points`, and so many saddles between them."""
    points = np.full(len(members), 2) if points is None else points
    unstable = np.full((len(members), 1, 8), np.nan)
    edges = np.full((2, len(members), 1, 16), np.nan)
    for m, (stable, count) in enumerate(zip(points, saddles)):
        unstable[m, 0, :stable] = 0
        unstable[m, 0, stable : stable + count] = 1
        lines = [(stable + k, end) for k in range(count) for end in range(stable)]
        edges[:, m, 0, : len(lines)] = np.array(lines).reshape(-1, 2).T
    dims = ("member", "input")
    return xr.Dataset(
        {
            "points": (dims, np.isfinite(unstable).sum(-1)),
            "unstable": ((*dims, "point"), unstable),
            "leads_elsewhere": ((*dims, "point"), np.where(np.isfinite(unstable), 0.0, np.nan)),
            **{name: (dims, np.zeros(unstable.shape[:2])) for name in ("kinks", "marginal")},
            "edge_from": ((*dims, "edge"), edges[0]),
            "edge_to": ((*dims, "edge"), edges[1]),
        },
        {"member": members["member"].tolist(), "input": ["no pulse"]},
    )


def distances(members: pd.DataFrame, field: str, apart: float, noise: float = 0.3) -> np.ndarray:
    """Of networks that lie at random, those of other values of a field further from each other."""
    places = np.random.default_rng(0).normal(size=(len(members), 6)) * noise
    places[:, 0] += apart * (members[field] == members[field].iloc[0])
    return np.linalg.norm(places[:, None] - places[None], axis=-1)


def planted(cell_apart: float = 0.0, saddles: Any = 1, **more: Any) -> Planted:
    members = table("flipflop")
    counts = np.broadcast_to(saddles, len(members))
    apart = np.abs(counts[:, None] - counts[None]).astype(float)
    return Planted(
        members,
        geometry=distances(members, "model", cell_apart),
        topology_distances=apart,
        topology=graphs(members, counts, **more),
    )


def test_where_every_network_has_one_graph_topology_is_free_and_geometry_is_not():
    results = planted(cell_apart=3.0)
    for field in GRID:
        answer = study._topology_is_free(results, "flipflop", field)
        assert (answer.value, answer.verdict) == (0.0, AGREES)
    geometry = study._geometry_depends(results, "flipflop", study.FIRST, "rate", "model")
    assert geometry.verdict == AGREES
    assert geometry.value > 0.5
    assert study._geometry_depends(results, "flipflop", study.FIRST, "rate", "hidden").verdict != AGREES
    assert study._more_of_geometry(results, "flipflop", "model").verdict == AGREES
    for place in (0, 1):
        answer = study._mostly_one_graph(results, "flipflop", place)
        assert (answer.value, answer.verdict) == (1.0, AGREES)
    assert study._shared_graphs(results, "flipflop").verdict == AGREES


def test_where_cells_have_graphs_of_their_own_topology_depends_on_them():
    members = table("flipflop")
    results = planted(saddles=np.where(members["model"] == "gru", 1, 2))
    assert study._topology_is_free(results, "flipflop", "model").verdict == DISAGREES
    assert study._topology_is_free(results, "flipflop", "l2").verdict == AGREES
    shares = study._shared_graphs(results, "flipflop")
    assert (shares.value, shares.verdict) == (1.0, DISAGREES)
    assert study._mostly_one_graph(results, "flipflop", 1).verdict == DISAGREES


def test_one_configuration_that_deviates_leaves_limits():
    answer = study._topology_is_free(planted(saddles=[2, 2] + [1] * 62), "flipflop", "model")
    assert math.isfinite(answer.low + answer.high)


def test_networks_without_a_fixed_point_are_left_out_and_counted():
    answer = study._mostly_one_graph(planted(saddles=[0] + [1] * 63, points=np.array([0] + [2] * 63)), "flipflop", 1)
    assert answer.value == 1.0
    assert answer.because.endswith("1 without a fixed point left out")


def test_where_no_network_has_a_fixed_point_that_is_said():
    none = planted(saddles=0, points=np.zeros(64, int))
    with pytest.raises(ValueError, match="flipflop: no fixed point of these networks is known"):
        study._shared_graphs(none, "flipflop")


def test_networks_of_one_cell_have_no_pairs_between_cells():
    members = table("flipflop", GRID | {"model": ["gru"]})
    results = Planted(members, topology=graphs(members, np.ones(32, int)))
    with pytest.raises(ValueError, match="or none of two cells"):
        study._shared_graphs(results, "flipflop")


def test_a_second_cell_of_one_configuration_leaves_the_value():
    members = table("flipflop")
    members = members[(members["model"] == "gru") | (np.arange(len(members)) >= 62)]
    answer = study._mostly_one_graph(Planted(members, topology=graphs(members, np.ones(34, int))), "flipflop", 1)
    assert (answer.value, answer.verdict) == (1.0, UNDECIDED)


def test_a_zoo_that_lacks_a_field_is_asked_the_rest():
    members = table("flipflop", GRID | {"hidden": [64]}).drop(columns="hidden")
    results = Planted(members, geometry=distances(members, "model", 3.0))
    assert study._geometry_depends(results, "flipflop", study.FIRST, "rate", "model").verdict == AGREES
    with pytest.raises(ValueError, match="hidden has one value among these networks"):
        study._geometry_depends(results, "flipflop", study.FIRST, "rate", "hidden")


def test_seeds_alone_make_no_p():
    members = table("flipflop", GRID | {"hidden": [64], "l2": [1e-5]})
    rng = np.random.default_rng(0)
    of_configuration = rng.normal(size=(4, 6)).repeat(SEEDS, 0)  # each lies elsewhere, for no reason
    places = of_configuration + 0.01 * rng.normal(size=(8, 6))
    results = Planted(members, geometry=np.linalg.norm(places[:, None] - places[None], axis=-1))
    answer = study._geometry_depends(results, "flipflop", study.FIRST, "rate", "model")
    assert answer.verdict == UNDECIDED
    assert answer.because.startswith("there are too few configurations for a test")


def linearized(members: pd.DataFrame, eigenvalues: np.ndarray, unstable: np.ndarray) -> xr.Dataset:
    """Networks of real eigenvalues `(member, point, mode)`."""
    dims = ("member", "input", "point")
    return xr.Dataset(
        {
            "points": (dims[:2], np.full((len(members), 1), 1.0)),
            "unstable": (dims, np.broadcast_to(unstable, eigenvalues.shape[:2])[:, None].astype(float)),
            "eigenvalue_real": ((*dims, "mode"), eigenvalues[:, None]),
            "eigenvalue_imaginary": ((*dims, "mode"), np.zeros_like(eigenvalues)[:, None]),
        },
        {"member": members["member"].tolist(), "input": ["x"]},
    )


def test_a_mode_that_grows_soon_is_no_slow_one():
    members = table("context")
    rng = np.random.default_rng(0)
    eigenvalues = np.stack([np.full(64, 1.6), rng.uniform(0.999, 1.001, 64), np.full(64, 0.4)], 1)[:, None]
    results = Planted(members, linearization=linearized(members, eigenvalues, np.array([1])))
    answer = study._slow_modes(results, ["vanilla", "gru"])
    assert (answer.value, answer.verdict) == (1.0, AGREES)


@pytest.mark.parametrize(("times", "verdict"), [(1.0, AGREES), (3.0, DISAGREES)])
def test_rates_at_corresponding_points_are_compared_between_cells(times, verdict):
    members = table("flipflop")
    rng = np.random.default_rng(0)
    rate = np.array([0.2, 0.1]) * rng.uniform(0.95, 1.05, (64, 2))  # of the saddle and the stable point
    rate *= np.where(members["model"] == "gru", 1.0, times)[:, None]
    eigenvalues = np.exp(rate * [1, -1])[..., None]
    results = Planted(members, linearization=linearized(members, eigenvalues, np.array([1, 0])))
    assert study._rates_agree(results).verdict == verdict
