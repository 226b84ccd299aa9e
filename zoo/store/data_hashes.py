"""The data that a directory was begun with, by their hashes."""

import hashlib
from typing import Any

import numpy as np

from zoo.spec.encoding import canonical_json


def check_data(path: Any, task: Any, known: dict[str, str]) -> None:
    """Refuse a task whose arrays have another hash than the one known; a new one is added.

    Args:
      path: of the zoo directory.
      task: any task; without data nothing is checked.
      known: the task as JSON -> sha256 of its data.

    Raises:
      ValueError: they differ.
    """
    data = task.data()
    if data is None:
        return
    digest = hashlib.sha256()
    for name, array in sorted(data.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).data)
    hashed, key = digest.hexdigest()[:16], canonical_json(task)
    if known.setdefault(key, hashed) != hashed:
        raise ValueError(
            f"{path} was begun with other data of the task {key}: their hash was {known[key]} and is {hashed} now; "
            "bring the files back, or choose another --out."
        )
