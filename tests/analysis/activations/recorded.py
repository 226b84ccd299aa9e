"""Recordings of six stimuli in every form, and where published ones lie."""

import os
from pathlib import Path

import numpy as np
from scipy.spatial.distance import squareform

from analysis.activations.recordings import Outside, ShownStimuli
from analysis.activations.types import RDM, Repeats

DATA = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
OBJECTS = DATA / "kriegeskorte92" / "Kriegeskorte_Neuron2008_supplementalData.mat"
SUBJECTS = DATA / "cichy" / "cichy2014_92images_fmri_rdms.npz"

N = 6
DRAW = np.random.default_rng(0)
PATTERNS, SUBJECTS_OF = DRAW.normal(size=(N, 5)), DRAW.normal(size=(3, N, 5))
TRAJECTORIES = DRAW.normal(size=(N, 4, 5))
PAIRS = DRAW.uniform(size=(3, N * (N - 1) // 2))
MATRICES = np.stack([squareform(row) for row in PAIRS])
SIX = ShownStimuli(N, {"kind": np.array(list("aabbcc")), "place": np.arange(N)})


def plain(member: Outside) -> np.ndarray:
    return member.array.array if isinstance(member.array, (RDM, Repeats)) else member.array
