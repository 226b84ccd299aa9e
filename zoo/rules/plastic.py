"""Plastic weights: another rule, for some of the weights; all others stay as they were drawn."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from models import setting
from zoo import lookup
from zoo.rules import AnyRule, Context, Gradient, Update, bptt


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which weights learn: the readout alone as in reservoir computing (Jaeger 2001, GMD report 148), the inputs or the
    recurrent weights alone (Feulner & Clopath 2021, PLOS Computational Biology 17, e1008621), biases alone.

    Attributes:
      weights: names of parameters as in checkpoints, "readout.kernel", or of what holds several, "readout".
      inner: the rule by which they learn.
    """

    weights: tuple[str, ...] = setting(("readout",))
    inner: AnyRule = bptt.Rule()

    @property
    def takes(self) -> str:
        """What the inner rule takes."""
        return self.inner.takes

    @property
    def uses(self) -> frozenset[str]:
        """What the inner rule uses."""
        return self.inner.uses

    def fits(self, model: Any, task: Any) -> str | None:
        """What the inner rule fits."""
        return self.inner.fits(model, task)

    def init(self, bound: Any, variables: Any, key: jax.Array) -> Any:
        """What the inner rule remembers."""
        names = flatten_dict(variables["params"], sep=".")
        if not self.weights:
            raise ValueError(f"its weights are (); name one at least of {', '.join(names)}")
        for weight in self.weights:
            if not any(_is_below(name, weight) for name in names):
                raise ValueError(f"there are no weights {weight!r}; {lookup.nearest(weight, names)}")
        if bound.training.decays:
            optimizer = bound.training.optimizer
            raise ValueError(f"{optimizer} decays all weights, plastic or not; take adam, whose l2 is part of the loss")
        return self.inner.init(bound, variables, key)

    def gradient(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Gradient:
        """The inner one's, and 0 for the others."""
        result = self.inner.gradient(bound, variables, state, batch, ctx)
        return result._replace(grads=self._where_plastic(result.grads, jax.tree.map(jnp.zeros_like, result.grads)))

    def update(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Update:
        """The inner one's, and what the others were."""
        result = self.inner.update(bound, variables, state, batch, ctx)
        before, after = (flatten_dict(params, sep=".") for params in (variables["params"], result.params))
        if all(after[name] is before[name] for name in before if self._is_plastic(name)):  # handed on, untouched
            raise ValueError(f"its inner rule changes none of the weights {', '.join(self.weights)}")
        return result._replace(params=self._where_plastic(result.params, variables["params"]))

    def _where_plastic(self, new: Any, old: Any) -> Any:
        new, old = (flatten_dict(tree, sep=".") for tree in (new, old))
        return unflatten_dict({name: (new if self._is_plastic(name) else old)[name] for name in old}, sep=".")

    def _is_plastic(self, name: str) -> bool:
        return any(_is_below(name, weight) for weight in self.weights)


def _is_below(name: str, weight: str) -> bool:
    return name == weight or name.startswith(f"{weight}.")
