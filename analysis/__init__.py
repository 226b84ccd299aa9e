"""Compare a population: `representations` of a trained zoo, `compare` any representations.

Both names are functions, bound here once their modules are loaded: `analysis.representations` is the function.
"""

from analysis.comparison import compare
from analysis.representations import representations

__all__ = ["compare", "representations"]
