"""Lists of instances of a dataclass: `product`, `zipped`, `sampled`."""

import itertools
import math
import zlib
from typing import Any, NamedTuple

import numpy as np

from zoo import lookup
from zoo.spec.fields import checked, fields_of, is_listed, label


class Distribution(NamedTuple):
    """A distribution of one field's values: `uniform(low, high)` or `log_uniform(low, high)`."""

    low: float
    high: float
    log: bool

    def at(self, shares: np.ndarray) -> list[float]:
        """The values below which these shares of the distribution lie, `(draw,)`."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        values = low + (high - low) * shares
        return (np.exp(values) if self.log else values).tolist()


def uniform(low: float, high: float) -> Distribution:
    """Uniform between two bounds, for `sampled`."""
    if not low < high:
        raise ValueError(f"uniform({low!r}, {high!r}): the lower bound must be below the upper.")
    return Distribution(low, high, log=False)


def log_uniform(low: float, high: float) -> Distribution:
    """Uniform in the logarithm between two positive bounds, for `sampled`."""
    if not 0 < low < high:
        raise ValueError(f"log_uniform({low!r}, {high!r}): the bounds must be positive and the lower below the upper.")
    return Distribution(low, high, log=True)


def _axes(cls: type, axes: dict[str, Any]) -> dict[str, list[Any]]:
    """Each axis as a list: lists, ranges and arrays are axes; anything else, and a tuple for a tuple field, a value."""
    known = fields_of(cls)
    result = {}
    for name, values in axes.items():
        if name not in known:
            raise ValueError(f"{label(cls)} has no field {name!r}; {lookup.nearest(name, known)}.")
        if isinstance(values, Distribution):
            raise ValueError(f"{label(cls)}.{name} is a distribution; only sampled(...) draws from distributions.")
        is_axis = isinstance(values, (list, range, np.ndarray)) or (
            isinstance(values, tuple) and not is_listed(known[name].type)
        )
        result[name] = list(values) if is_axis else [values]
        if not result[name]:
            raise ValueError(f"{label(cls)}.{name} is an empty list; give one value or more.")
    return result


def product(cls: type, **axes: Any) -> list[Any]:
    """All combinations of the values of the fields, the last field varying fastest.

    Args:
      cls: a Model, a Task or Training.
      **axes: field -> list of values, or one value.
    """
    lists = _axes(cls, axes)
    return [checked(cls(**dict(zip(lists, values)))) for values in itertools.product(*lists.values())]


def zipped(cls: type, **axes: Any) -> list[Any]:
    """Instances with the i-th value of every field; a single value serves all."""
    lists = _axes(cls, axes)
    lengths = {name: len(values) for name, values in lists.items() if len(values) != 1}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped({label(cls)}) got axes of different lengths: {lengths}; they must be equal.")
    count = max(lengths.values(), default=1)
    return [checked(cls(**{n: v[i % len(v)] for n, v in lists.items()})) for i in range(count)]


def sampled(cls: type, count: int, key: int, *, stratified: bool = True, **axes: Any) -> list[Any]:
    """Instances with fields drawn independently of each other: from a distribution, or from a list.

    Stratified, one draw comes from each of `count` equal parts of a distribution, in random order, and of a list every
    choice as often as any other, or once more (a Latin hypercube; McKay, Beckman & Conover 1979): a dozen draws of a
    learning rate cover its range, where a dozen independent ones leave gaps.

    Args:
      cls: a Model, a Task or Training.
      count: how many.
      key: seed of the draws; the same key gives the same instances.
      stratified: False for independent draws.
      **axes: field -> `uniform(...)`, `log_uniform(...)`, list of choices, or one value.
    """
    for name, value, least in (("count", count, 1), ("key", key, 0)):
        if type(value) is not int or value < least:
            raise ValueError(f"sampled({label(cls)}): {name} is {value!r}; it must be a whole number from {least} on.")
    lists = _axes(cls, {n: [None] if isinstance(v, Distribution) else v for n, v in axes.items()})
    columns = {}
    for name, values in axes.items():
        # Each field has a stream of its own, so that adding a field leaves the others' draws as they were.
        generator = np.random.default_rng([key, zlib.crc32(name.encode())])
        if isinstance(values, Distribution):
            shares = generator.random(count)
            columns[name] = values.at((generator.permutation(count) + shares) / count if stratified else shares)
        else:
            if stratified:  # whole rounds through a shuffled list, in random order
                places = generator.permutation(np.resize(generator.permutation(len(lists[name])), count))
            else:
                places = generator.integers(len(lists[name]), size=count)
            columns[name] = [lists[name][i] for i in places]
    return [checked(cls(**{n: v[i] for n, v in columns.items()})) for i in range(count)]
