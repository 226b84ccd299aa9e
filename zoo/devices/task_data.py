"""A task's arrays on devices, of which all cohorts that learn from it share one copy."""

import threading
from typing import Any

import jax

_placed: dict[Any, tuple[Any, Any]] = {}
"""(Ids of the arrays on the host, device) -> those arrays, and their copies on the device."""

_placing = threading.Lock()


def on_device(data: Any, device: Any) -> Any:
    """A task's arrays on a device, copied there the first time: tasks hand out the same arrays again.

    Args:
      data: what `Task.data` gives: a dictionary of arrays, or None.
      device: where to.
    """
    key = (tuple(map(id, jax.tree.leaves(data))), device)
    with _placing:
        if key not in _placed:
            _placed[key] = (data, jax.device_put(data, device))  # what the key names must stay alive
        return _placed[key][1]


def forget_data() -> None:
    """Give back what `on_device` holds."""
    with _placing:
        _placed.clear()
