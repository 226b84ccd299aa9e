"""Recordings of six stimuli in every form, and where published ones lie."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform

from analysis.activations.types import RDM, Outside, Repeats
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.reading import read_recordings

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


def members(
    path: Path, shown: ShownStimuli = SIX, say: Callable[[str], Any] = lambda line: None, **choices: Any
) -> list[Outside]:
    """The members that a file gives."""
    return read_recordings(path, shown, say, **choices).members
