"""Which of many places are one: the same groups in whatever order the places come."""

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

__all__ = ["groups_of", "of_each_group"]


def groups_of(states: np.ndarray, tolerance: float) -> np.ndarray:
    """The group of every place: two that are within the tolerance are of one, and so is what they are chained by.

    Args:
      states: `(place, coordinate)`.
      tolerance: Euclidean distance.

    Returns:
      `(place,)`, numbered in order of appearance.
    """
    if len(states) < 2:
        return np.zeros(len(states), int)
    near = squareform(pdist(np.asarray(states, np.float64))) <= tolerance
    return connected_components(near, directed=False)[1]


def of_each_group(groups: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """The slowest place of each group, `(group,)`."""
    order = np.lexsort((speeds, groups))
    return order[np.unique(groups[order], return_index=True)[1]]
