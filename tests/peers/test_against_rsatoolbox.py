"""RSA agrees with rsatoolbox 0.3.2, every kind of RDM under every comparison."""

import numpy as np
import pytest

from analysis.activations.types import Repeats
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import rsa

data = pytest.importorskip("rsatoolbox.data")
noise = pytest.importorskip("rsatoolbox.data.noise")
rdm = pytest.importorskip("rsatoolbox.rdm")

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # of the peer's own labels

COMPARE = {
    "cosine": "cosine",
    "pearson": "corr",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "whitened-cosine": "cosine_cov",
    "whitened-pearson": "corr_cov",
}
MEMBERS, REPEATS, STIMULI, UNITS = 6, 4, 40, 9


def measured():
    """Repeated measurements `(member, repeat, stimulus, time, unit)` that have something in common, all above 0."""
    draw = np.random.default_rng(0)
    signal = draw.standard_normal((1, 1, STIMULI, 1, UNITS)) + draw.standard_normal((MEMBERS, 1, STIMULI, 1, UNITS))
    mixed = draw.standard_normal((MEMBERS, REPEATS, STIMULI, 1, UNITS)) @ draw.standard_normal((UNITS, UNITS))
    return np.exp(0.3 * (signal + 0.5 * mixed))


def theirs(x, kind):
    """The RDM of one member `(repeat, stimulus, time, unit)`."""
    rows = x.reshape(-1, UNITS)
    about = dict(stimulus=np.tile(np.arange(STIMULI), REPEATS), repeat=np.repeat(np.arange(REPEATS), STIMULI))
    dataset = data.Dataset(rows.copy(), obs_descriptors=about)
    if kind in ("mahalanobis", "crossnobis"):
        precision = noise.prec_from_unbalanced(dataset, obs_desc="stimulus", method="shrinkage_diag")
        folds = dict(cv_descriptor="repeat") if kind == "crossnobis" else {}
        return rdm.calc_rdm(dataset, method=kind, descriptor="stimulus", noise=precision, **folds)
    return rdm.calc_rdm(dataset, method=kind, descriptor="stimulus")


@pytest.mark.parametrize("kind", ["correlation", "euclidean", "mahalanobis", "crossnobis", "poisson"])
def test_rdms_and_their_comparisons_agree(kind):
    x = measured()
    reference = rdm.concat([theirs(own, kind) for own in x])
    chosen = [rsa.Measure(rdm=kind, compare=compare, comparisons=0) for compare in COMPARE]
    group = Repeats(x) if kind in ("mahalanobis", "crossnobis") else x.mean(1)
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [group], "float64"))):
        expected = rdm.compare(reference, reference, method=COMPARE[measure.compare])
        np.testing.assert_allclose(result.value, expected, atol=1e-10, err_msg=measure.name)
    plain = rsa.Measure(rdm=kind, compare="cosine")
    state = plain.prepare_repeats(x) if isinstance(group, Repeats) else plain.prepare(group)
    entries = np.stack([rsa._rdms.whole({name: leaf[m] for name, leaf in state.items()}) for m in range(MEMBERS)])
    upper = np.triu_indices(STIMULI, 1)
    ours, wanted = entries[:, :, 0, :, 0][:, *upper], reference.get_vectors()
    power = np.round(np.log2(np.linalg.norm(wanted, axis=1) / np.linalg.norm(ours, axis=1)))  # of the scale it keeps
    np.testing.assert_allclose(ours * 2.0 ** power[:, None], wanted, atol=1e-10)


def test_without_repeats_mahalanobis_is_whitened_by_the_shrunk_covariance_over_stimuli():
    x = measured().mean(1)
    sets = [data.Dataset(own[:, 0].copy(), obs_descriptors=dict(stimulus=np.arange(STIMULI))) for own in x]
    precision = [noise.prec_from_residuals(own[:, 0].copy(), method="shrinkage_diag") for own in x]
    reference = rdm.concat([rdm.calc_rdm(own, method="mahalanobis", noise=p) for own, p in zip(sets, precision)])
    measure = rsa.Measure(rdm="mahalanobis", compare="pearson")
    value = similarities([prepare(measure, [x], "float64")])[0].value
    np.testing.assert_allclose(value, rdm.compare(reference, reference, method="corr"), atol=1e-10)


def test_ties_agree():
    x = np.random.default_rng(0).integers(0, 2, (MEMBERS, STIMULI, 1, 4)).astype(float)  # exact in binary
    sets = [data.Dataset(own[:, 0].copy()) for own in x]
    reference = rdm.concat([rdm.calc_rdm(own, method="euclidean") for own in sets])
    chosen = [
        rsa.Measure(rdm="euclidean", compare=compare, comparisons=0) for compare in ("spearman", "rho-a", "tau-a")
    ]
    for measure, result in zip(chosen, similarities(prepare_all(chosen, [x], "float64"))):
        expected = rdm.compare(reference, reference, method=COMPARE[measure.compare])
        np.testing.assert_allclose(result.value, expected, atol=1e-10, err_msg=measure.name)
