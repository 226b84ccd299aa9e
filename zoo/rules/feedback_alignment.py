"""Feedback alignment: backpropagation whose error goes back through fixed random weights."""

import dataclasses
from typing import Any, ClassVar

import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from models import setting
from zoo.rules import TUNABLE, Context, Gradient, bptt


@dataclasses.dataclass(frozen=True)
class Rule:
    """Lillicrap et al. (2016), Nature Communications 7, 13276. Of every product y = x W with error dy,

        dW = x' dy,    dx = dy B',

    where backpropagation has W in place of B. B is normal with sd scale / sqrt(inputs of a unit), drawn once for every
    weight of two axes or more; of a recurrent network the error goes back in time through it.

    Attributes:
      scale: of B; at 1 its sd is that of LeCun's initial weights.
    """

    scale: float = setting(1.0, above=0.0)

    takes: ClassVar[str] = "trials"
    uses: ClassVar[frozenset[str]] = frozenset(TUNABLE)

    def fits(self, model: Any, task: Any) -> str | None:
        """Every model, on every task that has targets."""
        return None

    def init(self, bound: Any, variables: Any, key: jax.Array) -> Any:
        """B, in the shape of the parameters, without those of one axis."""
        params: dict[Any, Any] = flatten_dict(variables["params"])
        weights = {path: w for path, w in params.items() if w.ndim > 1}
        drawn = {
            path: self.scale / (w.size // w.shape[-1]) ** 0.5 * jax.random.normal(jax.random.fold_in(key, i), w.shape)
            for i, (path, w) in enumerate(sorted(weights.items()))
        }
        return unflatten_dict(drawn)

    def gradient(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Gradient:
        """That of the objective, with the error sent back through B."""
        result = bptt.Rule().gradient(bound, {**variables, "backward": state}, (), batch, ctx)
        return result._replace(state=state)
