"""Compare a population: `representations` of a trained zoo, `compare` any representations.

Both names are functions, bound here once their modules are loaded: `analysis.representations` is the function.
"""

from analysis.activations.extraction import representations
from analysis.comparison import compare

__all__ = ["compare", "representations"]
