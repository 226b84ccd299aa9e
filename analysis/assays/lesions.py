"""Lesions: what the score loses when units are silenced, beside what it loses with as many units at random.

Units of a layer are ranked, cut into groups of equal size, and one group after the other is silenced, in every time
step, before any other unit reads it. The effect is the intact score minus the lesioned one, on held-out trials; its p
is `(1 + random sets with at least this effect) / (1 + random sets)`. In convolution layers a unit is a channel.
A random set may be the group itself: in a layer with few sets of this size, as of 10 single units, few p are small.
Networks with a layer of one name and width have the same random sets: their p are not independent of each other.
Networks that act are lesioned while they act, in the held-out episodes.

Meyes et al. 2019 (arXiv:1901.08644); Morcos et al. 2018 (ICLR), where the random sets of growing size are from.
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.arithmetic import SIGNIFICANT
from analysis.assays import _pictures
from analysis.assays._assayed import Assayed
from analysis.assays._held_out import activity_moments
from analysis.words import layer_words
from models import setting
from zoo.keys import threefry_key
from zoo.tasks import is_environment

KEY = 0x1E510001
"""The key of random sets: the same in all networks with a layer of this name and width."""


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text.

    Attributes:
      size: units that are silenced together; a layer with fewer is silenced whole.
      groups: how many groups of every layer, the first in the order; at most as many as there are.
      order: of the units before they are cut into groups, by the "variance" of their activity over held-out trials and
        the time steps that count in the score, the largest first, or "random".
      controls: random sets of the same size.
      silence: what a silenced unit shows, "zero" or its "mean" over what its variance is over.
      trials: how many of the held-out trials are taken at most, the first.
    """

    size: int = setting(1, least=1)
    groups: int = setting(16, least=1)
    order: str = setting("variance", choices=("variance", "random"))
    controls: int = setting(39, least=1)
    silence: str = setting("zero", choices=("zero", "mean"))
    trials: int = setting(500, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "feedforward", "convolutional", "environment"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, layer, group)`: lesioned, effect, p, share (of the layer's variance in the group);
        `(member, layer, group, place)`: silenced, the units of the group; `(member, layer, control_set)`: control, the
        scores without random sets; `(member, layer)`: silent, the score without the whole layer, units, size, how many
        are silenced together; `(member,)`: intact, trials, held_out."""
        layers = self._layers(population)

        def lesioned(bound: Any, variables: Any, key: Any, data: Any) -> Any:
            held_out = bound.task.evaluation(data)  # trials, or keys of episodes
            first = jax.tree.map(lambda x: x[: self.trials], held_out)
            intact, shown = _scored(bound, variables, first, None)
            _, whole = bound.model.apply(variables, shown.inputs)
            of_layers = {}
            for layer in layers:
                moments = activity_moments(whole[layer], shown.mask)
                score = functools.partial(_silenced_score, bound, variables, first, layer)
                of_layers[layer] = self._lesions(score, layer, *moments)
            counts = (jnp.int32(len(jax.tree.leaves(trials)[0])) for trials in (first, held_out))
            return intact, tuple(counts), of_layers

        intact, counts, of_layers = population.map(lesioned, [population.data])
        return _labelled(population.members, layers, np.float64(intact), counts, of_layers)

    def _layers(self, population: Assayed) -> list[str]:
        """What `apply(..., perturb=...)` takes: the rate, which a recurrent network shows first, or all layers."""
        layers = list(population.layers)
        return layers[:1] if population.model.family == "recurrent" else layers

    def _lesions(self, score: Callable[..., Any], layer: str, mean: Any, variance: Any) -> dict[str, Any]:
        """One layer of one network: the scores of all lesions, `(lesion,)`, the units of every group, the share of the
        variance in it, and the number of units."""
        units = len(variance)
        size = min(self.size, units)
        key = jax.random.fold_in(threefry_key(KEY), zlib.crc32(layer.encode()))
        ranked = jnp.argsort(-variance, stable=True)
        if self.order == "random":
            ranked = jax.random.permutation(jax.random.fold_in(key, self.controls), units)
        groups = min(self.groups, units // size)
        chosen = ranked[: groups * size].reshape(groups, size)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(self.controls))
        drawn = jax.vmap(lambda k: jax.random.permutation(k, units)[:size])(keys)
        alive = jax.vmap(lambda members: jnp.ones(units).at[members].set(0.0))(jnp.concatenate([chosen, drawn]))
        alive = jnp.concatenate([alive, jnp.zeros((1, units))])
        silenced = mean if self.silence == "mean" else jnp.zeros(units)
        scores = jax.lax.map(lambda alive: score(alive, (1 - alive) * silenced), alive)
        share = jnp.sum(variance[chosen], axis=1) / jnp.maximum(jnp.sum(variance), 1e-30)
        return {"scores": scores, "chosen": chosen, "share": share, "units": jnp.int32(units)}

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe and layer."""
        lines = []
        for name, layer, part in _pictures.layer_slices(result):
            words = []
            for state, of_state in _pictures.states(part):
                effect, p = (of_state[name].to_numpy() for name in ("effect", "p"))
                control = (of_state["intact"] - of_state["control"]).to_numpy()
                certain, known = int((p <= SIGNIFICANT).sum()), int(np.isfinite(p).sum())
                least = 1 / (1 + self.controls)
                certainty = (
                    f"p <= {SIGNIFICANT} in {certain} of {known} groups"
                    if least <= SIGNIFICANT
                    else f"no p below {least:.2g}"
                )
                words.append(
                    f"{state} {np.nanmedian(effect):.3g} (median; {np.nanmax(effect):.3g} at most, "
                    f"{np.nanmedian(control):.3g} at random, {certainty}), "
                    f"{np.median(of_state['intact']):.3g} intact, "
                    f"{np.nanmedian(of_state['silent']):.3g} without the layer"
                )
            used, held_out = int(part["trials"].max()), int(part["held_out"].max())
            how_many = f"the first {used} of {held_out}" if used < held_out else f"{used}"
            size = _pictures.span(part["size"])
            what = f"{name} at {layer}, {_pictures.score_of(part)} lost with {size} unit{'s' * (size != '1')}"
            lines.append(f"{what}: {'; '.join(words)}; {how_many} held-out trials")
        return lines

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the effect of every group in its order, and what random sets cost, at every layer."""
        for name, of_probe in _pictures.probes(result):
            layers = _pictures.layers_of(of_probe, "effect")
            figure = Figure(figsize=(1.5 + 3 * len(layers), 3.4), layout="constrained")
            for axes, layer in zip(np.atleast_1d(figure.subplots(1, len(layers), sharey=True)), layers):
                for place, (state, part) in enumerate(_pictures.states(of_probe.sel(layer=layer))):
                    colour, groups = f"C{place}", part["group"].to_numpy()
                    low, middle, high = (_pictures.quantile(part["effect"].to_numpy(), q) for q in (0.25, 0.5, 0.75))
                    axes.plot(groups, middle, ".-", color=colour, label=state)
                    axes.fill_between(groups, low, high, color=colour, alpha=0.2, lw=0)
                    random = float(np.nanmedian(part["intact"] - part["control"]))
                    axes.axhline(random, color=colour, ls="--", lw=1, label=f"{state}, random sets")
                axes.set_title(layer_words(layer), loc="left")
                axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
                effect = of_probe["effect"].sel(layer=layer).to_numpy()
                axes.set_xlim(-0.5, np.isfinite(effect).any(0).sum() - 0.5)
                size = _pictures.span(of_probe["size"].sel(layer=layer))
                axes.set_xlabel(f"group of {size} unit{'s' * (size != '1')}, by {self.order}")
            first = figure.axes[0]
            score = _pictures.score_of(of_probe)
            first.set_ylabel(f"{score} lost (median, quartiles)\n(higher: the units matter more, 0: not at all)")
            first.legend(fontsize=7)
            trials = int(of_probe["trials"].max())
            figure.suptitle(f"{_pictures.title_of(name, of_probe)}, {trials} held-out trials", x=0.01, ha="left")
            yield name, figure


class HeldOut(NamedTuple):
    """What a network saw in the held-out trials.

    Attributes:
      inputs: `(trial, ...)`.
      mask: what counts in the score, `(trial,)` or `(trial, time)`.
    """

    inputs: jax.Array
    mask: jax.Array


def _scored(bound: Any, variables: Any, taken: Any, perturb: Any) -> tuple[jax.Array, HeldOut]:
    """The score on trials, or in the episodes of keys, and what was seen there; an episode is seen as it went."""
    if is_environment(bound.task):
        episode = bound.rollout(variables, taken, None, perturb)
        return bound.task.score(episode), HeldOut(episode.inputs, episode.mask)
    outputs, _ = bound.model.apply(variables, taken.inputs, perturb=perturb)
    return bound.task.score(outputs, taken), HeldOut(taken.inputs, taken.mask)


def _silenced_score(bound: Any, variables: Any, taken: Any, layer: str, alive: Any, shift: Any) -> jax.Array:
    return _scored(bound, variables, taken, {layer: (alive, shift)})[0]


def _labelled(members: list[str], layers: list[str], intact: Any, counts: Any, of_layers: Any) -> xr.Dataset:
    """Layers of unequal width side by side, NaN where one has fewer groups."""
    groups = max(of_layers[layer]["chosen"].shape[1] for layer in layers)
    size = max(of_layers[layer]["chosen"].shape[2] for layer in layers)
    controls = of_layers[layers[0]]["scores"].shape[1] - of_layers[layers[0]]["chosen"].shape[1] - 1
    shape = (len(members), len(layers))
    of_group = {name: np.full((*shape, groups), np.nan) for name in ("lesioned", "effect", "p", "share")}
    silenced, control = np.full((*shape, groups, size), np.nan), np.zeros((*shape, controls))
    silent, units, sizes = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, layer in enumerate(layers):
        scores, chosen = of_layers[layer]["scores"].astype(np.float64), of_layers[layer]["chosen"]
        count = chosen.shape[1]
        of_groups, control[:, i], silent[:, i] = scores[:, :count], scores[:, count:-1], scores[:, -1]
        effect, at_random = intact[:, None] - of_groups, intact[:, None] - control[:, i]
        exceed = (at_random[:, None, :] >= effect[:, :, None]).sum(-1)
        # A score that is not finite is beyond no other: it would pass for a rare one.
        known = np.isfinite(effect) & np.isfinite(at_random).all(-1, keepdims=True)
        p = np.where(known, (1 + exceed) / (1 + controls), np.nan)
        columns = dict(lesioned=of_groups, effect=effect, p=p, share=of_layers[layer]["share"])
        for name, values in columns.items():
            of_group[name][:, i, : values.shape[1]] = values
        silenced[:, i, : chosen.shape[1], : chosen.shape[2]] = chosen
        units[:, i], sizes[:, i] = of_layers[layer]["units"], chosen.shape[2]
    names = {
        "lesioned": "score without the group",
        "effect": "score lost without the group",
        "p": "share of random sets that lose at least as much",
        "share": "share of the layer's variance that is the group's",
    }
    table = ("member", "layer")
    variables: dict[str, Any] = {n: ((*table, "group"), of_group[n], {"long_name": names[n]}) for n in names}
    return xr.Dataset(
        variables
        | {
            "silenced": ((*table, "group", "place"), silenced, {"long_name": "units of the group"}),
            "control": ((*table, "control_set"), control, {"long_name": "score without a random set"}),
            "silent": (table, silent, {"long_name": "score without the whole layer"}),
            "units": (table, units, {"long_name": "units of the layer"}),
            "size": (table, sizes, {"long_name": "units that are silenced together"}),
            "intact": ("member", intact, {"long_name": "score of the intact network on these trials"}),
            "trials": ("member", np.asarray(counts[0]), {"long_name": "held-out trials taken"}),
            "held_out": ("member", np.asarray(counts[1]), {"long_name": "held-out trials of the task"}),
        },
        {
            "member": members,
            "layer": layers,
            "group": np.arange(groups),
            "place": np.arange(size),
            "control_set": np.arange(controls),
        },
    )
