"""Devices that are none."""

from typing import NamedTuple


class FakeDevice(NamedTuple):
    """As much of a device as lanes look at."""

    id: int
    platform: str
