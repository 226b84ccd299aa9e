"""Neurodata Without Borders, `.nwb`: spike counts of units in trials, and what the trials and units are labelled with.

A rate in spikes/s per trial and unit, from each trial's `start_time` to its `stop_time`; columns of the table of trials
are labels of the rows, those of the table of units labels of the units. Read with pynwb, an extra.
"""

from pathlib import Path
from typing import Any

import numpy as np

from analysis.formats import Array, Contents, why

SUFFIXES = (".nwb",)

WITHOUT_MEANING = ("start_time", "stop_time", "timeseries", "tags", "spike_times", "obs_intervals", "waveforms")
"""Columns that are no labels."""


def read(path: Path) -> Contents:
    """The rates of the units in the trials of a session.

    Raises:
      ValueError: one sentence.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError:
        raise ValueError(f"{path} needs the package pynwb: pip install 'model-zoo-trainer[nwb]'.") from None
    try:
        reader: Any = NWBHDF5IO
        with reader(str(path), "r", load_namespaces=True) as file:
            session = file.read()
            trials, units = session.trials, session.units
            if trials is None or units is None:
                missing = "trials" if trials is None else "units"
                raise ValueError(f"{path} has no table of {missing}; a recording is units by trials.")
            rates = _rates(trials, units)
            labels = {"stimulus": _labels(trials), "unit": _labels(units)}
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read with pynwb ({why(error)}).") from None
    except Exception as error:  # pynwb raises whatever it stumbles over
        raise ValueError(f"{path} cannot be read with pynwb ({why(error)}).") from None
    return Contents({"": Array(rates, ("stimulus", "unit"), labels)}, {}, {})


def _rates(trials: Any, units: Any) -> np.ndarray:
    """`(trial, unit)`, spikes/s."""
    start, stop = (np.asarray(trials[name][:], np.float64) for name in ("start_time", "stop_time"))
    counts = np.empty((len(start), len(units)))
    for i in range(len(units)):
        spikes = np.sort(np.asarray(units["spike_times"][i], np.float64))
        counts[:, i] = np.searchsorted(spikes, stop) - np.searchsorted(spikes, start)
    return counts / (stop - start)[:, None]


def _labels(table: Any) -> dict[str, np.ndarray]:
    """Columns with one number or text per row."""
    labels = {}
    for name in table.colnames:
        if name in WITHOUT_MEANING:
            continue
        column = [table[name][i] for i in range(len(table))]
        if column and all(np.ndim(value) == 0 and isinstance(value, (str, int, float, np.generic)) for value in column):
            labels[name] = np.array(column)
    return labels
