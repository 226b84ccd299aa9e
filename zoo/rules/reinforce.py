"""REINFORCE: the policy gradient, with a learned baseline that is read out of the network's rates."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from models import FIXED, setting
from zoo.rules import REGULARISERS, TUNABLE, Context, Gradient


class Memory(NamedTuple):
    """What is remembered.

    Attributes:
      baseline: weights of the rates, and a bias, `(unit + 1,)`.
      moments: of its optimizer.
    """

    baseline: jax.Array
    moments: Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """Williams (1992), Machine Learning 8, 229. Actions a_t of policy pi, return G_t = sum_s>=t discount^(s-t) R_s:

        descend  -mean_t log pi(a_t) (G_t - b_t) - entropy H(pi_t),    b_t = r_t w + c, from the rates before the action

    w and c descend the mean of (G_t - b_t)^2 by Adam. As in Song, Yang & Wang (2017), eLife 6, e21492, but for the
    baseline, which is there a second network. The network gets no noise: its actions are drawn.

    Attributes:
      discount: of later rewards.
      entropy: what keeps the policy from settling early.
      baseline_rate: step size of the baseline.
    """

    discount: float = setting(0.8, least=0.0, most=1.0)
    entropy: float = setting(0.03, least=0.0)
    baseline_rate: float = setting(0.01, above=0.0)

    takes: ClassVar[str] = "environment"
    uses: ClassVar[frozenset[str]] = frozenset(TUNABLE).difference(REGULARISERS)

    def fits(self, model: Any, task: Any) -> str | None:
        """Recurrent models without noise."""
        if model.family != "recurrent":
            return f"it needs a recurrent model, which acts step by step, and the family is {model.family}"
        if getattr(model, "noise", 0.0):
            return f"it draws actions, and with noise {model.noise:g} the network would act otherwise than it learns"
        return None

    def init(self, bound: Any, variables: Any, key: jax.Array) -> Memory:
        """A baseline of 0."""
        inputs = jax.ShapeDtypeStruct((1, *bound.task.input_shape), jnp.float32)
        _, layers = jax.eval_shape(bound.model.apply, variables, inputs)
        baseline = jnp.zeros(layers["rate"].shape[-1] + 1)
        return Memory(baseline, optax.scale_by_adam().init(baseline))

    def gradient(self, bound: Any, variables: Any, state: Memory, batch: jax.Array, ctx: Context) -> Gradient:
        """Of the episodes of these keys."""
        episode = bound.rollout(variables, batch, ctx.noise)
        returns = to_go(episode.rewards, self.discount)
        weight = episode.mask / jnp.sum(episode.mask)

        def surrogate(params: Any) -> Any:
            outputs, layers = bound.model.apply({**variables, "params": params}, episode.inputs)
            logs = jax.nn.log_softmax(outputs)
            taken = jnp.take_along_axis(logs, episode.actions[..., None], axis=-1)[..., 0]
            rates = jax.lax.stop_gradient(layers["rate"])
            better = returns - (rates @ state.baseline[:-1] + state.baseline[-1])
            total = -jnp.sum(weight * taken * better)
            total += self.entropy * jnp.sum(weight * jnp.sum(jnp.exp(logs) * logs, axis=-1))
            slope = -2 * jnp.append(jnp.einsum("bt,btn->n", weight * better, rates), jnp.sum(weight * better))
            return total, slope

        (total, slope), grads = jax.value_and_grad(surrogate, has_aux=True)(variables["params"])
        direction, moments = optax.scale_by_adam().update(slope, state.moments)
        memory = Memory(state.baseline - self.baseline_rate * jnp.asarray(direction), moments)
        stats = {name: v for name, v in variables.items() if name not in FIXED}
        return Gradient(grads, memory, bound.task.loss(episode), stats, (total,))


def to_go(rewards: jax.Array, discount: Any) -> jax.Array:
    """The discounted sum of this and all later rewards, `(trial, time)`."""

    def back(later: jax.Array, reward: jax.Array) -> tuple[jax.Array, jax.Array]:
        later = reward + discount * later
        return later, later

    return jax.lax.scan(back, jnp.zeros(len(rewards)), rewards.T, reverse=True)[1].T
