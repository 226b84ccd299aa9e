"""What is compared in tests: plain arrays, ready RDMs, and the items of a small zoo."""

import numpy as np
import pandas as pd

from analysis.activations.types import RDM, Group, Representations


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def zoo():
    """Two members of 5 units and one of 7, two layers each, with labels of every kind."""
    small = pd.DataFrame(
        {
            "member": ["m0", "m0", "m1", "m1"],
            "layer": ["hidden", "readout"] * 2,
            "model": "gru",
            "model.noise": [0.1, 0.1, 0.2, 0.2],
            "leak": None,
            "trained": [True, True, False, False],
        }
    )
    large = pd.DataFrame(
        {"member": "m2", "layer": ["hidden", "readout"], "model": "vanilla", "leak": "rate", "trained": True}
    )
    names = [f"{row.member}/{row.layer}" for row in [*small.itertuples(), *large.itertuples()]]
    groups = (
        Group(tuple(names[:4]), small, normal(0, 4, 8, 3, 5)),
        Group(tuple(names[4:]), large, normal(1, 2, 8, 3, 7)),
    )
    return Representations(groups, probe="a1b2", conditions={}, dt=10.0)


def arrays(**changed):
    return {"x": normal(0, 9, 4), "y": normal(1, 9, 5)} | changed


def rdm(x):
    d = ((x[:, None] - x) ** 2).sum(-1)
    return RDM((d + d.T) / 2)
