"""The RDM of one representation that pictures and exports show: the one that `rsa` compares by default."""

from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["correlation_rdm"]


def correlation_rdm(x: Any) -> Float[np.ndarray, "stimulus stimulus"]:
    """`1 - r` between the patterns of every two stimuli, in double precision (Kriegeskorte et al. 2008).

    A trajectory is one pattern, time and units together. A pattern without variance, as of a silent layer, is given
    correlation 0 with every other, dissimilarity 1.

    Args:
      x: `(stimulus, ...)`.
    """
    x = np.asarray(x)
    eps = float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0.0
    rows = x.reshape(len(x), -1).astype(np.float64)
    centred = rows - rows.mean(1, keepdims=True)
    length = (centred**2).sum(1)
    flat = length <= (8 * eps) ** 2 * (rows**2).sum(1)
    centred /= np.sqrt(np.where(flat, np.inf, length))[:, None]
    rdm = 1 - centred @ centred.T
    np.fill_diagonal(rdm, 0)
    return rdm
