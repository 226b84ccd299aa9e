"""Recurrent weights: how large they are, of what rank, how far they moved in training, and how unlike between networks.

Of the recurrent weights W as they act, gate by gate: the spectral radius, the largest modulus of an eigenvalue; the
norm, Frobenius'; the effective rank exp(-sum_i p_i log p_i), p_i = s_i / sum_j s_j of the singular values s_i, which is
k of k equal ones (Roy & Vetterli 2007, EUSIPCO); and |W - W_0|, the norm of the change since before training.

Two networks that differ in the order of their units only are one network. The distance between two is

    min over permutations P of |W - P' V P|,

over all gates together (Huang et al. 2025, NeurIPS). It is an upper bound: the best of several starts of the FAQ
algorithm (Vogelstein et al. 2015), each improved by exchanging pairs of units. Lines, pictures and tests have it per
weight: divided by the root of their number. Huang et al. divide by the number itself where they compare sizes.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.assays import _pictures
from analysis.assays._assayed import Assayed
from analysis.assays._distances import Distance
from analysis.assays._permuted import permuted_distance
from models import setting
from zoo.spec.fields import label
from zoo.wording import counted


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      pairs: of which networks distances are computed, always of one cohort: those that differ in their "seeds" only,
        "all", or "none".
      starts: of the search for the permutation, of every pair.
    """

    pairs: str = setting("seeds", choices=("seeds", "all", "none"))
    starts: int = setting(4, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "environment"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, gate)`: spectral_radius, effective_rank, norm, change; `(member,)`: entries, how many
        weights all gates have; `(member, other)`: distance to the other network, NaN where it is not computed."""
        if not hasattr(population.model, "weight"):
            raise ValueError(f"{label(population.model)} has no recurrent weights, which are its method `weight`.")
        now, first = (_by_gate(population.map(_recurrent, at=at)) for at in (None, "initial"))
        members, gates = population.members, now.shape[1]
        singular = np.linalg.svd(now, compute_uv=False)
        shares = singular / np.maximum(singular.sum(-1, keepdims=True), 1e-300)
        logs = np.log(np.where(shares > 0, shares, 1.0))
        table = ("member", "gate")
        return xr.Dataset(
            {
                "spectral_radius": (table, np.abs(np.linalg.eigvals(now)).max(-1), {"long_name": "spectral radius"}),
                "effective_rank": (
                    table,
                    np.exp(-(shares * logs).sum(-1)),
                    {"long_name": "effective rank, exp of the entropy of the singular values"},
                ),
                "norm": (table, np.linalg.norm(now, axis=(2, 3)), {"long_name": "Frobenius norm"}),
                "change": (table, np.linalg.norm(now - first, axis=(2, 3)), {"long_name": "norm of W minus initial W"}),
                "entries": ("member", np.full(len(members), now[0].size), {"long_name": "recurrent weights, number"}),
                "distance": (
                    ("member", "other"),
                    self._distances(now, self._groups(population)),
                    {"long_name": "norm of the difference of weights, the units in the best order that was found"},
                ),
            },
            {
                "member": members,
                "gate": ("gate", np.arange(gates) + 1, {"long_name": "gate, from 1; a network without gates has one"}),
                "other": ("other", members, {"long_name": "id of the other network"}),
            },
        )

    def _groups(self, population: Assayed) -> list[Any]:
        """Of every network what two that are compared have in common."""
        if self.pairs != "seeds":
            return [None if self.pairs == "all" else name for name in population.members]
        specs = {member.id: member for member in population.cohort.members}
        return [specs[name].parts for name in population.members]

    def _distances(self, weights: np.ndarray, groups: list[Any]) -> np.ndarray:
        count = len(weights)
        values, known = np.full((count, count), np.nan), {}
        np.fill_diagonal(values, 0.0)
        bits = [each.tobytes() for each in weights]
        for i in range(count):
            for j in range(i):
                if groups[i] != groups[j]:
                    continue
                # Untrained networks are there once for every way of training. A pair's order must decide nothing.
                a, b = sorted((i, j), key=bits.__getitem__)
                if (bits[a], bits[b]) not in known:
                    same = bits[a] == bits[b]
                    known[bits[a], bits[b]] = 0.0 if same else permuted_distance(weights[a], weights[b], self.starts)[0]
                values[i, j] = values[j, i] = known[bits[a], bits[b]]
        return values

    def distances(self, result: xr.Dataset) -> Iterator[tuple[str, Distance]]:
        """Per probe, the distance per weight between every two networks of one cohort and state that were compared."""
        for name, of_probe in _pictures.probes(result):
            members, trained = of_probe["member"].to_numpy(), of_probe["trained"].to_numpy()
            values = np.where(trained[:, None] == trained[None], _per_weight(of_probe, members), np.nan)
            if not np.isfinite(values[~np.eye(len(values), dtype=bool)]).any():
                continue
            about = (
                "root mean square difference of recurrent weights, the units in the best order of "
                f"{self.starts} starts (FAQ, 2-opt): an upper bound"
            )
            yield name, Distance("weights", values, about, is_metric=False)

    def lines(self, result: xr.Dataset) -> Iterator[str]:
        """A line per probe and gate; the first of a probe has the distances, too."""
        for name, of_probe in _pictures.probes(result):
            gates = _gates(of_probe)
            pairs = [
                f"{state} {np.median(values):.3g} ({counted(len(values), 'pair')})"
                for state, values in _compared(of_probe)
            ]
            apart = f"; distance per weight, an upper bound: {', '.join(pairs)}" if pairs else ""
            for place, (gate, at_gate) in enumerate(gates):
                words = []
                for state, part in _pictures.states(at_gate):
                    radius, rank, change = (
                        f"{float(part[key].median()):.3g}" for key in ("spectral_radius", "effective_rank", "change")
                    )
                    moved = f", change since before training {change}" if part["trained"].any() else ""
                    words.append(f"{state} spectral radius {radius}, effective rank {rank}{moved}")
                which = f", gate {gate}" if len(gates) > 1 else ""
                rest = apart if place == 0 else ""
                yield f"{name}{which}, recurrent weights, medians: {'; '.join(words)}{rest}"

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe: spectral radius, effective rank and change of every network, and the distances of all pairs."""
        names = {"spectral_radius": "spectral radius", "effective_rank": "effective rank", "change": "|W - initial W|"}
        for name, of_probe in _pictures.probes(result):
            figure = Figure(figsize=(11, 3.2), layout="constrained")
            *panels, last = figure.subplots(1, 4)
            gates = _gates(of_probe)
            for axes, (variable, words) in zip(panels, names.items()):
                for i, (_, at_gate) in enumerate(gates):
                    for place, (state, part) in enumerate(_pictures.states(at_gate)):
                        values, x = part[variable].to_numpy(), i + 0.3 * place - 0.15
                        label = None if i else state
                        axes.plot(x + _spread(len(values)), values, ".", color=f"C{place}", label=label)
                axes.set_xticks(range(len(gates)), [f"gate {gate}" if len(gates) > 1 else "" for gate, _ in gates])
                axes.set_ylabel(words)
            panels[0].legend(fontsize=7)
            pairs = _compared(of_probe)
            for place, (_, values) in enumerate(pairs):
                last.plot(place + _spread(len(values)), np.sort(values), ".", color=f"C{place}")
            last.set_xticks(range(len(pairs)), [state for state, _ in pairs])
            last.set_xlim(-0.5, max(len(pairs), 1) - 0.5)
            last.set_ylabel("distance of two networks, per weight\n(0: alike but for the order of units)")
            figure.suptitle(_pictures.title_of(name, of_probe), x=0.01, ha="left")
            yield name, figure


def _recurrent(bound: Any, variables: Any, key: Any) -> Any:
    """The recurrent weights of one network as they act, `(unit, gates x unit)`."""
    return bound.model.apply(variables, method="weight")


def _by_gate(weights: np.ndarray) -> np.ndarray:
    """`(member, unit, gates x unit)` as `(member, gate, unit, unit)`, in double precision."""
    members, units, width = weights.shape
    return np.float64(weights).reshape(members, units, width // units, units).swapaxes(1, 2)


def _gates(result: xr.Dataset) -> list[tuple[int, xr.Dataset]]:
    """Every gate, and the networks that have it, without distances: by these no two untrained copies would be alike."""
    alone = result.drop_vars(["distance", "other"])
    found = []
    for gate in alone["gate"].to_numpy().tolist():
        at_gate = alone.sel(gate=gate)
        if len(rows := np.flatnonzero(np.isfinite(at_gate["norm"]))):
            found.append((gate, at_gate.isel(member=rows)))
    return found


def _compared(result: xr.Dataset) -> list[tuple[str, np.ndarray]]:
    """ "trained" and "untrained" -> the distances per weight of its pairs, each once; a state without any is left out,
    and untrained copies count once."""
    found = []
    for state, part in _pictures.states(result.drop_vars(["distance", "other"])):
        members = part["member"].to_numpy()
        of_state = result.isel(member=np.flatnonzero(result["trained"] == part["trained"].to_numpy()[0]))
        square = _per_weight(of_state.sel(member=members), members)
        values = square[np.tril_indices(len(square), -1)]
        if len(values := values[np.isfinite(values)]):
            found.append((state, values))
    return found


def _per_weight(result: xr.Dataset, others: np.ndarray) -> np.ndarray:
    """The root mean square difference of weights, of every network to each of these, `(member, other)`."""
    return result["distance"].sel(other=others).to_numpy() / np.sqrt(result["entries"].to_numpy())[:, None]


def _spread(count: int) -> np.ndarray:
    """Places beside each other, for points that would hide each other."""
    return np.linspace(-0.12, 0.12, count) if count > 1 else np.zeros(count)
