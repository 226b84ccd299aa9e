"""MATLAB's `.mat`: arrays, texts and cells of texts; structures of RDMs; cells of one array per subject.

Up to v7 by SciPy; from v7.3 on the file is HDF5 and is read as one. Structures with a field `RDM`, as the RSA toolbox
of Nili et al. (2014) writes them, are RDMs; a name "what | who | when" says whose: of one subject's sessions the mean.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from analysis.formats import Array, Contents, why
from analysis.formats.hdf5 import tree
from analysis.formats.numpy_arrays import sorted_out

SUFFIXES = (".mat",)


def read(path: Path) -> Contents:
    """The variables of a file.

    Raises:
      ValueError: one sentence.
    """
    if h5py.is_hdf5(path):
        return of_variables(tree(path))
    from scipy.io import loadmat

    try:
        variables = loadmat(path, chars_as_strings=True)
    except Exception as error:  # scipy raises whatever it stumbles over
        raise ValueError(f"{path} cannot be read as a MATLAB file ({why(error)}).") from None
    return of_variables({name: value for name, value in variables.items() if not name.startswith("__")})


def of_variables(variables: dict[str, Any]) -> Contents:
    """What variables are: structured arrays are structures, arrays of objects cells, as SciPy has them."""
    plain: dict[str, np.ndarray] = {}
    found: dict[str, Array] = {}
    ignored: dict[str, str] = {}
    for name, value in variables.items():
        if not isinstance(value, np.ndarray):
            ignored[name] = "it is sparse or an object"
        elif value.dtype.names and "RDM" in value.dtype.names:
            found |= _structures(name, value)
        elif value.dtype.names:
            ignored[name] = f"it is a structure, of {', '.join(value.dtype.names)}"
        elif value.dtype.kind in "US":
            plain[name] = np.char.strip(value.ravel())  # a char matrix is one text per row
        elif value.dtype.kind == "O" and (texts := _texts(value)) is not None:
            plain[name] = texts
        elif value.dtype.kind == "O" and (cells := _cells(value)) is not None:
            found |= {f"{name}/subject {i}": Array(cell) for i, cell in enumerate(cells, start=1)}
        elif value.dtype.kind == "O":
            ignored[name] = "it is a cell array of several kinds of things"
        else:
            plain[name] = value.ravel() if value.ndim == 2 and 1 in value.shape else value
    contents = sorted_out(plain, ignored)
    return contents._replace(arrays=found | contents.arrays)


def _texts(value: np.ndarray) -> np.ndarray | None:
    """A cell array of texts, or of single numbers, as labels."""
    cells = [np.asarray(cell) for cell in value.flat]
    if cells and all(cell.dtype.kind == "U" and cell.size <= 1 for cell in cells):
        return np.array(["".join(cell.ravel()).strip() for cell in cells])
    if cells and all(cell.dtype.kind in "iufb" and cell.size == 1 for cell in cells):
        return np.array([cell.item() for cell in cells])
    return None


def _cells(value: np.ndarray) -> list[np.ndarray] | None:
    """A cell array of arrays of numbers, one per subject or session."""
    cells = [np.asarray(cell) for cell in value.flat]
    fit = cells and all(cell.dtype.kind in "fiub" and cell.ndim >= 2 and cell.size > 1 for cell in cells)
    return [cell.ravel() if 1 in cell.shape and cell.ndim == 2 else cell for cell in cells] if fit else None


def _structures(name: str, value: np.ndarray) -> dict[str, Array]:
    """RDMs of an array of structures, by what their names say: "what | who | when"."""
    rdms: dict[str, dict[str, list[np.ndarray]]] = {}
    for i, entry in enumerate(value.flat, start=1):
        title = "".join(np.ravel(entry["name"]).astype(str)) if "name" in (value.dtype.names or ()) else ""
        what, *who = (part.strip() for part in (title or f"{name} | {i}").split("|"))
        rdm = np.asarray(entry["RDM"], np.float64)
        rdm = rdm.ravel() if 1 in rdm.shape else rdm
        rdms.setdefault(what, {}).setdefault(who[0] if who else "", []).append(rdm)
    return {what: _of_subjects(each) for what, each in rdms.items()}


def _of_subjects(each: dict[str, list[np.ndarray]]) -> Array:
    """RDMs of one area, `(subject, stimulus, stimulus)` with the subjects' names, sessions averaged."""
    rdms = np.stack([np.mean(of, axis=0) for of in each.values()])
    if len(rdms) == 1:
        return Array(rdms[0], is_rdm=True)
    axes = ("subject", "stimulus", "stimulus'") if rdms.ndim == 3 else ("subject", "pair")
    return Array(rdms, axes, {"subject": {"subject": np.array(list(each))}}, is_rdm=True)
