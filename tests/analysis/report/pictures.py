"""What pictures are drawn of in tests: small zoos with guests, and a measure of every kind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.labelled_comparison import MeasureRecord
from analysis.report.compared import Compared
from analysis.scoring.recording_scores import SCORE_COLUMNS

RECORD = MeasureRecord("cka", "similarity", 48, chance=0.0)


DISTANCE = MeasureRecord("procrustes", "distance", 48)


SCORE = MeasureRecord("predictivity", "score", 48, symmetric=False)


def zoo(configurations: int = 8, seeds: int = 2, apart: float = 1.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Trained and untrained networks of two models, `apart` from each other, and their cosine similarity."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "model": np.repeat(np.where(np.arange(configurations) % 2, "gru", "lstm"), seeds),
            "hidden": np.repeat(2 ** (np.arange(configurations) // 2), seeds).astype(float),
            "seed": np.tile(np.arange(float(seeds)), configurations),
        }
    ).assign(status="solved", cohort=lambda frame: frame["model"] + frame["hidden"].astype(str))
    table = pd.concat([rows.assign(trained=True), rows.assign(trained=False)], ignore_index=True)
    table["item"] = [f"item {i}" for i in range(len(table))]
    points = draw.normal(size=(len(table), 5)) + apart * np.where(table["model"] == "gru", 1, -1)[:, None]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return table, points @ points.T


def with_guests(table: pd.DataFrame, similarity: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The zoo with a recording, its mean over subjects and a baseline, as a stored comparison labels them."""
    guests = pd.DataFrame({"item": ["f/it/1", "f/it/mean", "baseline/pixels"], "recording": ["f/it", "f/it", "pixels"]})
    guests["source"] = ["recording", "recording", "baseline"]
    guests["subject"] = ["1", "mean", ""]
    both: Any = pd.concat([table.assign(source="zoo", subject=""), guests.assign(trained=True)])
    text = [column for column in both if column not in ("hidden", "seed", "trained")]
    both[text] = both[text].fillna("")
    count = len(table)
    whole = np.eye(count + 3)
    whole[:count, :count] = similarity
    whole[count:, :count], whole[:count, count:] = 0.2, 0.2
    return both.reset_index(drop=True), whole


def drawn(figure: Any) -> Any:
    figure.canvas.draw()
    return figure


def table_of_scores(**changes: Any) -> pd.DataFrame:
    row = dict.fromkeys(SCORE_COLUMNS, "") | dict(
        measure="rsa", recording="IT", kind="network", n_stimuli=92, subjects=4
    )
    row |= dict(ceiling_lower=0.5, ceiling_upper=0.6, sem=0.02, partial=np.nan, model="cnn")
    rows = [
        row | dict(layer=layer, kind=kind, name=f"m{i}", score=level + 0.01 * i, partial=level - 0.05)
        for layer, level in (("conv1", 0.1), ("dense1", 0.3))
        for kind in ("network", "untrained")
        for i in range(3)
    ]
    rows += [row | dict(kind="baseline", name="pixels", score=-3.0), row | dict(kind="recording", name="V1", score=0.7)]
    return pd.DataFrame(rows).assign(**changes)


def compared(table: pd.DataFrame, path: Path = Path("nowhere"), **parts: Any) -> Compared:
    """A comparison of a task `digits`, of which there is the member table, and what is given."""
    given: Any = dict(comparison=None, of_task=None, fields=["hidden", "gain"]) | parts
    trained: Any = SimpleNamespace(path=path)
    return Compared(trained, "digits", "digits", table=table, **given)
