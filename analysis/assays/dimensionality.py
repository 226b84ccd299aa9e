"""Dimensionality: in how many directions the activity of every layer varies over stimuli and time.

With the eigenvalues l_1 >= l_2 >= ... of the covariance of a layer's units,

    participation ratio = (sum_i l_i)^2 / sum_i l_i^2,      share of component i = l_i / sum_j l_j.

k equal directions give k (Gao et al. 2017, bioRxiv 214262; Recanatesi et al. 2019, arXiv:1906.00443). It is at most the
number of units, and less than the number of (stimulus, time) rows: few stimuli make it small.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.activations import spaces
from analysis.assays import _pictures
from analysis.assays._assayed import Assayed
from analysis.assays._components import FLAT, participation_ratio
from models import Static, setting


@dataclasses.dataclass(frozen=True)
class Assay:
    """See the module's text. The probe is what all networks are shown; n is its number of stimuli.

    Attributes:
      time: what of a trajectory counts: "samples" (every time step is a sample), its "mean" or its "last" step. What
        comes after the end of a recorded episode never counts.
      center: "grand" takes the mean over all samples out, "time" that of every time step: the time course that is the
        same for all stimuli.
      variance: the share of the variance that `components` is the number of components for.
      space: maps of convolution layers: their "mean" over space, all "units", or a random "subset(k)".
    """

    time: str = setting("samples", choices=("samples", "mean", "last"))
    center: str = setting("grand", choices=("grand", "time"))
    variance: Static[float] = setting(0.9, above=0.0, most=1.0)
    space: str = setting("mean")

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "feedforward", "convolutional", "environment"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Assayed) -> xr.Dataset:
        """Variables `(member, layer)`: participation_ratio, components, variance (summed over units), units;
        `(member, layer, component)`: spectrum, shares in descending order; `(member,)`: stimuli and times, the samples.
        NaN where a layer is constant or not finite."""
        reduction, layers = spaces.parse(self.space), list(population.layers)
        weights = self._weights(population)

        def second_moments(bound: Any, variables: Any, key: Any, inputs: Any, weights: Any) -> Any:
            _, whole = bound.model.apply(variables, inputs)
            return {layer: self._moments(_patterns(whole[layer], layer, reduction), weights) for layer in layers}

        parts_of: dict[str, list[Any]] = {layer: [] for layer in layers}
        for batch in population.batches(second_moments, [population.probe.inputs, weights]):
            for layer in layers:
                parts_of[layer].append(_spectra(*batch.values[layer]))
        columns = [[np.concatenate(parts) for parts in zip(*parts_of[layer])] for layer in layers]
        widest = max(spectrum.shape[1] for spectrum, _, _ in columns)
        spectra = np.full((len(population.members), len(layers), widest), np.nan)
        for place, (spectrum, _, _) in enumerate(columns):
            spectra[:, place, : spectrum.shape[1]] = spectrum
        variances, units = (np.stack([column[i] for column in columns], axis=1) for i in (1, 2))
        return self._labelled(population, layers, spectra, variances, units, weights)

    def _labelled(
        self, population: Assayed, layers: list[str], spectra: Any, variances: Any, units: Any, weights: np.ndarray
    ) -> xr.Dataset:
        known = ~np.isnan(spectra).all(-1)
        filled = np.nan_to_num(spectra)
        ratio = np.where(known, participation_ratio(filled), np.nan)
        enough = filled.cumsum(-1) >= self.variance - 1e-6
        components = np.where(known, enough.argmax(-1) + 1.0, np.nan)
        count = len(population.members)
        table = ("member", "layer")
        times = weights.shape[1] if self.time == "samples" else 1
        samples = np.full(count, len(weights)), np.full(count, times)
        return xr.Dataset(
            {
                "participation_ratio": (table, ratio, {"long_name": "(sum of eigenvalues)^2 / sum of their squares"}),
                "components": (table, components, {"long_name": f"components for {self.variance:.0%} of the variance"}),
                "variance": (table, variances, {"long_name": "variance, summed over units"}),
                "units": (table, units, {"long_name": "units of the layer"}),
                "spectrum": ((*table, "component"), spectra, {"long_name": "share of the variance"}),
                "stimuli": ("member", samples[0], {"long_name": "stimuli of the probe"}),
                "times": ("member", samples[1], {"long_name": "time steps of each, padding among them"}),
            },
            {"member": population.members, "layer": layers, "component": np.arange(spectra.shape[-1]) + 1},
        )

    def _weights(self, population: Assayed) -> np.ndarray:
        """How much every time step of every stimulus counts, `(stimulus, time)`; after `time` has been taken, one."""
        probe = population.probe
        steps = np.arange(probe.inputs.shape[1] if probe.dt else 1)
        weights = (steps < probe.lasts[:, None]).astype(np.float32)
        if self.time == "last":
            last = weights.shape[1] - 1 - weights[:, ::-1].argmax(1)
            weights = (np.arange(weights.shape[1])[None] == last[:, None]).astype(np.float32)
        return weights

    def _moments(self, x: Any, weights: Any) -> tuple[Any, Any, Any]:
        """The covariance of `(stimulus, time, unit)`, that of the samples where there are fewer of them than units; the
        mean square, summed over units; and the number of units."""
        if self.time != "samples":
            x = jnp.sum(x * weights[..., None], axis=1, keepdims=True) / jnp.sum(weights, axis=1)[:, None, None]
            weights = jnp.ones((len(x), 1))
        over: Any = (0, 1) if self.center == "grand" else 0
        total = jnp.maximum(jnp.sum(weights, axis=over, keepdims=True), 1.0)[..., None]
        centred = x
        for _ in range(2):  # the sum over many rows is rounded: what the first mean left of itself goes with the second
            centred = centred - jnp.sum(centred * weights[..., None], axis=over, keepdims=True) / total
        root = jnp.sqrt(weights / jnp.sum(weights))[..., None]
        rows = (centred * root).reshape(-1, x.shape[-1])
        square = jnp.sum((x * root) ** 2)
        small = rows.T @ rows if rows.shape[1] <= rows.shape[0] else rows @ rows.T
        return small, square, jnp.int32(x.shape[-1])

    def lines(self, result: xr.Dataset) -> list[str]:
        """A line per probe and layer."""
        lines = []
        for name, layer, part in _pictures.layer_slices(result):
            words = []
            for state, of_state in _pictures.states(part):
                ratio = of_state["participation_ratio"].to_numpy()
                ratio = ratio[np.isfinite(ratio)]
                if not len(ratio):
                    words.append(f"{state} none: constant in all networks")
                    continue
                flat = of_state.sizes["member"] - len(ratio)
                components = float(np.nanmedian(of_state["components"]))
                words.append(
                    f"{state} {np.median(ratio):.3g} (median of {len(ratio)}, {ratio.min():.3g} to {ratio.max():.3g}), "
                    f"{components:g} component{'s' * (components != 1)} for {self.variance:.0%} of the variance"
                    + (f", {flat} constant" if flat else "")
                )
            stimuli, times = int(part["stimuli"][0]), int(part["times"][0])
            rows = f" x {times} time steps" if self.time == "samples" and times > 1 else ""
            ratios = f"{name} at {layer}, participation ratio: {'; '.join(words)}"
            lines.append(f"{ratios}; n = {stimuli} stimuli{rows}, {_pictures.span(part['units'])} units")
        return lines

    def figures(self, result: xr.Dataset) -> Iterator[tuple[str, Figure]]:
        """Per probe, the participation ratio of every network at every layer, and the median spectra."""
        for name, of_probe in _pictures.probes(result):
            figure = Figure(figsize=(9, 3.6), layout="constrained")
            left, right = figure.subplots(1, 2)
            layers = _pictures.layers_of(of_probe, "participation_ratio")
            for place, (state, part) in enumerate(_pictures.states(of_probe)):
                for i, layer in enumerate(layers):
                    at = part.sel(layer=layer)
                    ratio = at["participation_ratio"].to_numpy()
                    spread = np.linspace(-0.12, 0.12, len(ratio)) if len(ratio) > 1 else np.zeros(1)
                    label = state if i == 0 else None
                    left.plot(i + 0.3 * place - 0.15 + spread, ratio, ".", color=f"C{place}", label=label)
                    spectrum = _pictures.quantile(at["spectrum"].to_numpy(), 0.5)
                    style = dict(ls=("-", "--")[place], color=f"C{i % 8}", label=f"{layer}, {state}")
                    right.plot(of_probe["component"].to_numpy(), spectrum, **style)
            left.set_xticks(range(len(layers)), layers, rotation=30 if len(layers) > 4 else 0)
            left.set_ylabel("participation ratio, dimensions\n(1: a line; at most the number of units)")
            left.legend()
            right.set_yscale("log")
            right.set_ylim(1e-4, 1)
            right.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            right.set_xlabel("principal component")
            right.set_ylabel("share of the variance (median)")
            right.legend(fontsize=7)
            stimuli = int(of_probe["stimuli"][0])
            figure.suptitle(f"{_pictures.title_of(name, of_probe)}, n = {stimuli} stimuli", x=0.01, ha="left")
            yield name, figure


def _patterns(x: Any, layer: str, reduction: spaces.Space) -> Any:
    """Activations as `(stimulus, time, unit)`, one time step where there is no time."""
    if x.ndim == 3:
        return x
    return (reduction.reduce(x, layer) if x.ndim == 4 else x)[:, None]


def _spectra(moments: Any, square: Any, units: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the variance, descending, `(member, component)`, NaN of constant layers; the variance; the units."""
    finite = np.isfinite(moments).all((1, 2)) & np.isfinite(square)
    moments = np.where(finite[:, None, None], moments, 0.0).astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(moments)[:, ::-1].clip(0)  # on the host: XLA's are slow on CPU
    total = np.where(finite, eigenvalues.sum(1), np.nan)
    varies = finite & (total > FLAT * square)
    shares = eigenvalues / np.where(varies, total, 1.0)[:, None]
    return np.where(varies[:, None], shares, np.nan), total, units
