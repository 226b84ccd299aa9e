"""Files are written whole or not at all, and arrays are believed only as far as their bytes go."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from zoo.files import read_arrays, write_atomically


def test_writes_are_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "a", 3)  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "a").read_bytes() == b"one"


def test_an_array_that_says_it_is_huge_is_refused_before_room_is_made_for_it() -> None:

    small = io.BytesIO()
    np.lib.format.write_array_header_1_0(small, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", small.getvalue() + b"12345678")
    with pytest.raises(ValueError, match=r"a\.npy says that it has 8000000000000 bytes, which is not so"):
        read_arrays(buffer.getvalue())


def test_a_pickled_array_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.asarray([{}], object))
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_arrays(buffer.getvalue())
