"""A file per form that recordings come in: how each is read, or the sentence that refuses it.

Every file holds the same planted responses of 12 stimuli, in an order of its own where it has labels. What it has to be
read as is computed here from the planted responses, by NumPy alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.io import savemat
from scipy.spatial.distance import squareform

from analysis.recordings.matching import ShownStimuli
from analysis.recordings.members import Recorded
from analysis.recordings.reading import read_recordings
from tests.analysis.recordings.recorded import plain

N, UNITS, REPEATS = 12, 5, 3
DRAW = np.random.default_rng(7)
X = DRAW.normal(size=(N, UNITS))
TIMED = DRAW.normal(size=(N, 6, UNITS))
TIMES = np.arange(6) * 20.0
NAMES = np.array([f"object_{i:02d}" for i in range(N)])
KIND = np.array(list("aaabbbcccddd"))
SHOWN = ShownStimuli(N, {"stimulus_id": NAMES, "kind": KIND})
IN_TIME = SHOWN._replace(times=np.arange(5) * 25.0)
ORDER = DRAW.permutation(N)
SOME = np.sort(ORDER[:8])
RDM = 1 - np.corrcoef(X)
REPEATED = X + 0.1 * DRAW.normal(size=(REPEATS, N, UNITS))
PRESENTED = DRAW.permutation(np.tile(np.arange(N), REPEATS))


class Form(NamedTuple):
    """How a file is written, and what it has to be read as.

    Attributes:
      write: takes a folder, gives the file or files.
      expected: recording -> array, or a sentence that refuses it.
      says: what its receipt has to say.
      shown: what the networks were shown.
      kept: which of the stimuli.
    """

    write: Callable[[Path], Any]
    expected: dict[str, np.ndarray] | str
    says: str = ""
    shown: ShownStimuli = SHOWN
    kept: np.ndarray = np.arange(N)


def npz(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "it.npz", **arrays)
        return folder / "it.npz"

    return write


def mat(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        savemat(folder / "it.mat", arrays)
        return folder / "it.mat"

    return write


def labelled(data: Any, form: str = "nc", **options: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"it.{form}"
        if form == "zarr":
            data.to_zarr(path, consolidated=False, zarr_format=2)
        else:
            data.to_netcdf(path, **(options or dict(engine="h5netcdf")))
        return path

    return write


def table(frame: pd.DataFrame, form: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"it.{form}"
        frame.to_parquet(path) if form == "parquet" else frame.to_csv(path, index=False)
        return path

    return write


def hdf5(fill: Callable[[Any], Any], name: str = "it.h5", userblock: int = 0) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with h5py.File(folder / name, "w", userblock_size=userblock) as file:
            fill(file)
        return folder / name

    return write


def assembly(values: np.ndarray, presented: np.ndarray, **units: Any) -> xr.Dataset:
    """As Brain-Score keeps them: a MultiIndex's levels are coordinates in the file."""
    coords = {
        "stimulus_id": ("presentation", NAMES[presented]),
        "repetition": ("presentation", np.arange(len(presented))),
        "neuroid_id": ("neuroid", [f"n{i}" for i in range(values.shape[-1])]),
        **{name: ("neuroid", of) for name, of in units.items()},
    }
    return xr.DataArray(values, dims=("presentation", "neuroid"), coords=coords).to_dataset(name="dicarlo")


def matlab_73(file: Any) -> None:
    """What MATLAB writes: axes last to first, texts as code points, cells as references."""
    file["responses"] = X[ORDER].T
    file["responses"].attrs["MATLAB_class"] = np.bytes_("double")
    cells = file.create_dataset("stimulus", (1, N), h5py.ref_dtype)
    cells.attrs["MATLAB_class"] = np.bytes_("cell")
    for i, name in enumerate(NAMES[ORDER]):
        text = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in name], np.uint16))
        text.attrs["MATLAB_class"] = np.bytes_("char")
        cells[0, i] = text.ref


def rsatoolbox_rdms(file: Any) -> None:
    """The layout of `RDMs.save`."""
    file["dissimilarities"] = np.stack([squareform(RDM[np.ix_(ORDER, ORDER)], checks=False)] * 2)
    file["rdm_descriptors/subject"] = np.array([b"anna", b"bea"])
    file["pattern_descriptors/stimulus_id"] = NAMES[ORDER].astype("S")
    file["pattern_descriptors/index"] = np.arange(N)
    file.create_group("descriptors")


def rsatoolbox_data(file: Any) -> None:
    """The layout of `Dataset.save`."""
    file["measurements"] = X[ORDER]
    file["obs_descriptors/stimulus_id"] = NAMES[ORDER].astype("S")
    file["channel_descriptors/voxel"] = np.arange(UNITS)
    file.create_group("descriptors")


def nwb(folder: Path) -> Path:
    pynwb = pytest.importorskip("pynwb")
    from datetime import UTC, datetime

    file = pynwb.NWBFile("a session", "one", datetime(2026, 1, 1, tzinfo=UTC))
    file.add_trial_column("stimulus_id", "the stimulus")
    for i, stimulus in enumerate(ORDER):
        file.add_trial(start_time=float(i), stop_time=i + 0.5, stimulus_id=str(NAMES[stimulus]))
    for unit in range(3):
        times = [i + 0.1 + 0.01 * k for i, s in enumerate(ORDER) for k in range(int(s) * (unit + 1) % 7)]
        file.add_unit(spike_times=np.array(times))
    with pynwb.NWBHDF5IO(str(folder / "it.nwb"), "w") as out:
        out.write(file)
    return folder / "it.nwb"


RATES = np.array([[2.0 * (s * (unit + 1) % 7) for unit in range(3)] for s in range(N)])
LONG = pd.DataFrame(
    [(NAMES[s], r, f"n{u}", REPEATED[r, s, u]) for s in ORDER for r in range(REPEATS) for u in range(UNITS)],
    columns=["stimulus_id", "repeat", "unit", "value"],
)
CELLS = np.empty(2, object)
CELLS[:] = [X[ORDER], X[ORDER][:, :3]]
HOLES = np.where(DRAW.uniform(size=REPEATED.shape) < 0.1, np.nan, REPEATED)


def subjects_apart(folder: Path) -> list[Path]:
    """A file per subject, with as many units as each has."""
    paths = []
    for who, units in (("01", 5), ("02", 3)):
        np.savez(folder / f"sub-{who}_it.npz", x=X[ORDER][:, :units], stimulus_id=NAMES[ORDER])
        paths.append(folder / f"sub-{who}_it.npz")
    return paths


def resampled(steps: np.ndarray, times: np.ndarray = TIMES) -> np.ndarray:
    return np.stack([[np.interp(steps, times, TIMED[s, :, u]) for u in range(UNITS)] for s in range(N)]).transpose(
        0, 2, 1
    )


FORMS: dict[str, Form] = {
    "patterns without labels": Form(npz(x=X), {"it/x": X}, "order not checked"),
    "npz, stimulus names": Form(npz(x=X[ORDER], stimulus=NAMES[ORDER]), {"it/x": X}, "stimuli by stimulus"),
    "npz, the condition's own name": Form(npz(x=X[ORDER], stimulus_id=NAMES[ORDER]), {"it/x": X}, "by stimulus_id"),
    "npz, file names": Form(
        npz(x=X[ORDER], filename=np.array([f"im/{n}.png" for n in NAMES[ORDER]])), {"it/x": X}, "by filename"
    ),
    "npz, index from 0": Form(npz(x=X[ORDER], stimulus_index=ORDER), {"it/x": X}, "by stimulus_index"),
    "npz, index from 1": Form(npz(x=X[ORDER], image=ORDER + 1), {"it/x": X}, "counted from 1"),
    "npz, an index that may count from either": Form(
        npz(x=X[SOME[1:-1]], image=np.arange(2, 8)), "from 0 or from 1 cannot be told"
    ),
    "npz, class labels that agree": Form(npz(x=X, kind=KIND), {"it/x": X}, "order agrees with kind"),
    "npz, class labels that disagree": Form(npz(x=X, kind=KIND[::-1]), "stimulus 0 has kind d and the networks' has a"),
    "npz, names that are not known": Form(
        npz(x=X, filename=np.array([f"z{i}" for i in range(N)])), "of the stimuli shown no such name is known"
    ),
    "npz, two labels that disagree": Form(
        npz(x=X, stimulus=NAMES, image=NAMES[::-1]), "which disagree, first in row 0"
    ),
    "npz, some of the stimuli": Form(
        npz(x=X[ORDER[:8]], stimulus=NAMES[ORDER[:8]]), {"it/x": X[SOME]}, "8 of the 12 shown", kept=SOME
    ),
    "npz, bfloat16": Form(
        npz(x=X.astype(ml_dtypes.bfloat16)), {"it/x": X.astype(ml_dtypes.bfloat16).astype(np.float64)}
    ),
    "mat, a char matrix": Form(mat(x=X[ORDER], stimulus=NAMES[ORDER]), {"it/x": X}, "stimuli by stimulus"),
    "mat, a cell array": Form(
        mat(x=X[ORDER], filename=np.array(NAMES[ORDER], object)), {"it/x": X}, "stimuli by filename"
    ),
    "mat, a cell per subject": Form(
        mat(x=CELLS, stimulus=NAMES[ORDER]),
        {"it/x/1": X, "it/x/2": X[:, :3]},
        "2 subjects",
    ),
    "mat v7.3": Form(hdf5(matlab_73, "it.mat", 512), {"it/responses": X}, "stimuli by stimulus"),
    "h5": Form(
        hdf5(lambda file: file.update(area_it=X[ORDER]) or file.update(stimulus=NAMES[ORDER].astype("S"))),
        {"it/area_it": X},
        "stimuli by stimulus",
    ),
    "h5 of rsatoolbox, RDMs": Form(
        hdf5(rsatoolbox_rdms), {"it/anna": RDM, "it/bea": RDM, "it/mean": RDM}, "RDMs of 2 subjects"
    ),
    "h5 of rsatoolbox, patterns": Form(hdf5(rsatoolbox_data), {"it": X}, "stimuli by stimulus_id"),
    "netCDF, a dimension coordinate": Form(
        labelled(xr.Dataset({"r": (("stimulus", "unit"), X[ORDER])}, {"stimulus": NAMES[ORDER]})),
        {"it/r": X},
        "stimuli by stimulus",
    ),
    "netCDF-3": Form(
        labelled(xr.Dataset({"r": (("unit", "stimulus"), X[ORDER].T)}, {"stimulus": NAMES[ORDER]}), engine="scipy"),
        {"it/r": X},
        "stimuli by stimulus",
    ),
    "zarr": Form(
        labelled(xr.Dataset({"r": (("image", "neuroid"), X[ORDER])}, {"image": ORDER}), "zarr"),
        {"it/r": X},
        "stimuli by image",
    ),
    "Brain-Score, presentations": Form(
        labelled(assembly(X[PRESENTED], PRESENTED)), {"it/dicarlo": np.stack([X] * REPEATS)}, "3 repeats"
    ),
    "Brain-Score, regions and animals": Form(
        labelled(assembly(X[ORDER], ORDER, region=list("VVIII"), animal=list("mnmmn"))),
        {
            "it/dicarlo V/m": X[:, :1],
            "it/dicarlo V/n": X[:, 1:2],
            "it/dicarlo I/m": X[:, 2:4],
            "it/dicarlo I/n": X[:, 4:],
        },
        "2 subjects",
    ),
    "csv": Form(
        table(pd.DataFrame(X[ORDER], columns=[f"n{i}" for i in range(UNITS)]).assign(stimulus_id=NAMES[ORDER]), "csv"),
        {"it": X},
        "stimuli by stimulus_id",
    ),
    "csv, a row per measurement": Form(table(LONG, "csv"), {"it": REPEATED}, "3 repeats"),
    "parquet": Form(
        table(pd.DataFrame(X[ORDER], index=pd.Index(NAMES[ORDER], name="stimulus")).rename(columns=str), "parquet"),
        {"it": X},
        "stimuli by stimulus",
    ),
    "nwb": Form(nwb, {"it": RATES}, "stimuli by stimulus_id"),
    "an RDM whose diagonal is rounding": Form(npz(x=RDM), {"it/x": RDM}, "an RDM of 12 stimuli"),
    "RDMs of subjects whose diagonals are rounding": Form(
        npz(x=np.stack([RDM, 2 * RDM])),
        {"it/x/1": RDM, "it/x/2": 2 * RDM, "it/x/mean": 1.5 * RDM},
        "RDMs of 2 subjects",
    ),
    "an RDM whose diagonal is NaN, permuted": Form(
        npz(x=np.where(np.eye(N) > 0, np.nan, RDM[np.ix_(ORDER, ORDER)]), stimulus=NAMES[ORDER]),
        {"it/x": RDM},
        "stimuli by",
    ),
    "an RDM of one triangle": Form(npz(x=np.triu(RDM, 1)), {"it/x": RDM}, "from one triangle"),
    "a condensed RDM, permuted": Form(
        npz(x=squareform(RDM[np.ix_(ORDER, ORDER)], checks=False), stimulus=NAMES[ORDER]), {"it/x": RDM}, "stimuli by"
    ),
    "similarities": Form(npz(x=np.corrcoef(X)), "if these are similarities give dissimilarities"),
    "an RDM that is not symmetric": Form(npz(x=np.abs(RDM + 0.1 * np.tri(N, k=-1))), "is not symmetric, by up to 0.1"),
    "an RDM with a hole": Form(
        npz(x=np.where((np.add.outer(np.arange(N), np.arange(N)) == 1), np.nan, RDM)),
        "holds NaN for 1 pair of stimuli, such as 0 and 1",
    ),
    "files of subjects with unequal units": Form(subjects_apart, {"it/x/01": X, "it/x/02": X[:, :3]}, "2 subjects"),
    "sessions of other neurons": Form(
        npz(v4_session_1=X[ORDER][:, :2], v4_session_2=X[ORDER][:, 2:], stimulus=NAMES[ORDER]),
        {"it/v4": X},
        "units of 2 sessions together",
    ),
    "repeats with holes": Form(
        npz(x=HOLES, x_dims=np.array(["repeat", "stimulus", "unit"])),
        {"it/x": np.nanmean(HOLES, 0)},
        f"{int(np.isnan(HOLES).sum())} values missing",
    ),
    "seconds": Form(
        labelled(
            xr.Dataset(
                {"r": (("stimulus", "time", "unit"), TIMED[ORDER])},
                {"stimulus": NAMES[ORDER], "time": ("time", TIMES / 1000, {"units": "s"})},
            )
        ),
        {"it/r": resampled(np.arange(5) * 25.0)},
        "resampled from 6 times",
        IN_TIME,
    ),
    "a window of the networks' time": Form(
        npz(x=TIMED, time_ms=TIMES + 30),
        {"it/x": resampled(np.array([50.0, 75.0, 100.0]), TIMES + 30)},
        "3 of the networks' 5 steps are covered",
        IN_TIME,
    ),
    "a grid of its own, in seconds": Form(
        npz(x=TIMED, time_s=TIMES / 1000), {"it/x": resampled(np.arange(5) * 25.0)}, "resampled", IN_TIME
    ),
    "time, for networks without": Form(
        npz(x=TIMED, time_ms=TIMES),
        {f"it/x@{t:g} ms": TIMED[:, i] for i, t in enumerate(TIMES)},
        "patterns (stimulus 12, time 6, unit 5)",
    ),
}


def test_the_corpus_has_forty_forms_or_more() -> None:
    assert len(FORMS) >= 40


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read_as_what_it_is_or_refused(name: str, tmp_path: Path) -> None:
    form, lines = FORMS[name], []
    paths = form.write(tmp_path)
    if isinstance(form.expected, str):
        with pytest.raises(ValueError, match=form.expected) as caught:
            read_recordings(paths, form.shown)
        assert "\n" not in str(caught.value)
        return
    found: Recorded = read_recordings(paths, form.shown, lines.append)
    assert [member.name for member in found.members] == list(form.expected)
    for member in found.members:
        expected = form.expected[member.name]
        np.testing.assert_allclose(plain(member), expected, atol=1e-12, err_msg=member.name)
    np.testing.assert_array_equal(found.stimuli, form.kept)
    assert form.says in "\n".join(lines), lines
