"""Noise ceilings and exported RDMs agree with rsatoolbox 0.3.2."""

import numpy as np
import pytest

from analysis.activations.types import Group, Representations
from analysis.comparison import comparison_of
from analysis.exports import export
from analysis.scoring.ceilings import COMPARE, noise_ceiling

inference = pytest.importorskip("rsatoolbox.inference")
rdm = pytest.importorskip("rsatoolbox.rdm")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the peer

PEER = {"pearson": "corr", "whitened-cosine": "cosine_cov", "whitened-pearson": "corr_cov"}


@pytest.mark.parametrize("choice", COMPARE)
def test_ceilings_agree_with_the_bootstraps_without_a_draw(choice):
    draw = np.random.default_rng(0)
    patterns = draw.standard_normal((8, 12)) + 0.8 * draw.standard_normal((5, 8, 12))
    distances = ((patterns[:, :, None] - patterns[:, None]) ** 2).mean(3)
    vectors = distances[(slice(None), *np.triu_indices(8, 1))].round(1)  # with ties
    wanted = inference.boot_noise_ceiling(rdm.RDMs(vectors), method=PEER.get(choice, choice))
    np.testing.assert_allclose(noise_ceiling(vectors, choice)[:2], wanted, atol=1e-10)


def test_exported_rdms_are_read_and_agree_on_their_similarity(tmp_path):
    import pandas as pd

    x = np.random.default_rng(0).standard_normal((4, 8, 6)).astype("float32")
    labels = pd.DataFrame({"member": list("abcd"), "layer": "rate", "trained": True})
    found = Representations((Group(tuple("abcd"), labels, x),), "probe", {"kind": np.array(list("aabbaabb"))})
    result = comparison_of(found, ["rsa"])
    (path,) = export(tmp_path / "zoo", ["rsatoolbox"], result, found, [])
    rdms = rdm.load_rdm(str(path))
    assert rdms.dissimilarity_measure == "correlation"
    assert rdms.n_rdm == 4
    np.testing.assert_allclose(rdm.compare(rdms, rdms, method="spearman"), result.measures["rsa"].values, atol=1e-5)
