"""Files of recordings, form by form: names in them decide, and nothing is unpickled."""

import pickle
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.io import savemat

from analysis.formats import contents_of, forms
from tests.analysis.recordings.recorded import MATRICES, PAIRS, PATTERNS, SIX, SUBJECTS_OF, N, members, plain


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "brain.pkl").write_bytes(pickle.dumps(PATTERNS))
    np.save(tmp_path / "objects.npy", np.array([{}, {}]))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]))
    for name, sentence in {
        "brain.pkl": r"is a pickle, which can run code when it is opened; save its arrays with np\.savez instead",
        "objects.npy": "cannot be read as a plain array: it holds objects; save arrays of numbers",
        "objects.npz": r"must be an \.npz file of plain arrays",
        "none.npz": "There is no recording at",
        "brain.txt": r"cannot be read as a recording; allowed: \.h5, \.hdf5, \.nc, \.zarr, \.mat, \.npz",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            members(tmp_path / name, SIX)


def test_the_names_of_axes_in_a_netcdf_file_decide(tmp_path):
    x = xr.DataArray(
        SUBJECTS_OF.transpose(2, 0, 1),
        dims=("neuroid", "subject", "stimulus"),
        coords={"subject": ["anna", "bea", "cleo"], "kind": ("stimulus", list("aabbcc"))},
    )
    xr.Dataset({"it": x}).to_netcdf(tmp_path / "brain.nc", engine="h5netcdf")
    found = members(tmp_path / "brain.nc", SIX)
    assert [member.labels["subject"] for member in found] == ["anna", "bea", "cleo", "mean"]
    np.testing.assert_array_equal(found[1].array, SUBJECTS_OF[1])
    xr.Dataset({"it": x.assign_coords(kind=("stimulus", list("abbbcc")))}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="stimulus 1 has kind b and the networks' has a"):
        members(tmp_path / "other.nc", SIX)


def test_rdms_whose_axes_have_names_are_rdms(tmp_path):
    x = xr.Dataset({"it": (("subject", "stimulus", "other_stimulus"), MATRICES)})
    x.to_netcdf(tmp_path / "rdms.nc", engine="h5netcdf")
    found = members(tmp_path / "rdms.nc", SIX)
    assert len(found) == 4
    np.testing.assert_allclose(plain(found[2]), MATRICES[2])


def test_zarr_reads_as_netcdf_does(tmp_path):
    pytest.importorskip("zarr")
    x = xr.Dataset({"it": (("unit", "stimulus"), PATTERNS.T)})
    x.to_zarr(tmp_path / "brain.zarr", consolidated=False)
    (found,) = members(tmp_path / "brain.zarr", SIX)
    np.testing.assert_array_equal(found.array, PATTERNS)


def test_structures_of_rdms_are_read_by_their_names(tmp_path):
    kind: Any = [("RDM", "O"), ("name", "O")]
    entries = np.empty((1, 4), kind)
    titles = ["IT | A | Session: 1", "IT | A | Session: 2", "IT | B | Session: 1", "model"]
    for i, (rdm, title) in enumerate(zip([MATRICES[0], MATRICES[1], MATRICES[2], PAIRS[0][None]], titles)):
        entries[0, i] = (rdm, title)
    savemat(tmp_path / "rdms.mat", {"RDMs": entries, "flags": np.ones((N, 2)), "other": PAIRS[1][None]})
    found = members(tmp_path / "rdms.mat", SIX)
    names = ["rdms/IT/A", "rdms/IT/B", "rdms/IT/mean", "rdms/model"]
    assert [member.name for member in found] == names
    np.testing.assert_allclose(plain(found[0]), MATRICES[:2].mean(0))
    np.testing.assert_allclose(plain(found[2]), (MATRICES[:2].mean(0) + MATRICES[2]) / 2)
    np.testing.assert_allclose(plain(found[3]), MATRICES[0])


def test_a_damaged_file_of_any_form_is_refused_in_one_sentence_that_names_it(tmp_path):
    for suffix in forms():
        if suffix in (".csv", ".tsv", ".zarr"):
            continue
        path = tmp_path / f"brain{suffix}"
        path.write_bytes(b"nothing of the kind" * 20)
        with pytest.raises(ValueError, match=r"brain\.\w+ .*cannot be read") as caught:
            contents_of(path)
        assert "\n" not in str(caught.value)
