"""The comparison of a directory: mean RDMs are of the networks that were compared."""

import numpy as np
import pandas as pd

from analysis.activations.types import Group, Representations
from analysis.zoo_comparison import mean_rdms


def test_rdms_are_means_over_what_was_compared() -> None:
    generator = np.random.default_rng(1)
    labels = pd.DataFrame(
        {"model": "gru", "layer": "rate", "trained": True, "status": ["solved", "solved", "diverged"]}, index=range(3)
    )
    group = Group(("a", "b", "c"), labels, generator.normal(size=(3, 5, 4)).astype(np.float32))
    found = Representations((group,), "probe", {"label": np.array([1, 0, 1, 0, 2])})
    means = mean_rdms(found, {"a", "c"})
    assert means["members"].to_numpy().tolist() == [1]
    rows = group.array[0][[1, 3, 0, 2, 4]]
    np.testing.assert_allclose(means["rdm"][0], 1 - np.corrcoef(rows), atol=1e-6)
