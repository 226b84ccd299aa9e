"""FORCE: recursive least squares on the readout, at every few time steps of a trial, while its output is fed back."""

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from models import FIXED, on, setting
from zoo.rules import Context, Update


@dataclasses.dataclass(frozen=True)
class Rule:
    """Sussillo & Abbott (2009), Neuron 63, 544. With rates r and error e = y - target before the update,

        k = P r / (1 + r' P r),    P <- P - k (P r)',    W_out <- W_out - k e

    so that P = (alpha I + sum r r')^-1. Of several trials in a batch, all rates of a time step enter at once, by the
    Woodbury identity. P goes on from step to step; a training step is a pass through the batch's trials, each from the
    network's initial state. All other weights stay as they are. Nothing of Training but what the engine reads is used.
    What is minimised is the squared error; the loss that is shown is the task's, of the outputs before each update.

    Attributes:
      alpha: regularisation; small values learn fast, and from 0.01 on too fast for a feedback network to follow.
      every: time steps from one update to the next.
    """

    alpha: float = setting(1.0, above=0.0)
    every: int = setting(2, least=1)

    takes: ClassVar[str] = "trials"
    uses: ClassVar[frozenset[str]] = frozenset()

    def fits(self, model: Any, task: Any) -> str | None:
        """Recurrent models with a linear readout, and trials with more than one update."""
        if model.family != "recurrent":
            return f"it needs a recurrent model, and the family is {model.family}"
        steps = task.input_shape[0]
        return None if self.every < steps else f"its every is {self.every}, and a trial has {steps} time steps"

    def init(self, bound: Any, variables: Any, key: jax.Array) -> jax.Array:
        """P = I / alpha, `(unit, unit)`."""
        return jnp.eye(variables["params"]["readout"]["kernel"].shape[0]) / self.alpha

    def update(self, bound: Any, variables: Any, state: jax.Array, batch: Any, ctx: Context) -> Update:
        """One pass through the trials."""
        if batch.targets.ndim != 3:
            shape = batch.targets.shape
            raise ValueError(f"it needs targets in the shape of outputs, (trial, time, output), and theirs is {shape}")
        params, apply = variables["params"], bound.model.apply

        def with_kernel(kernel: jax.Array) -> Any:
            return {**params, "readout": {**params["readout"], "kernel": kernel}}

        def step(learns: bool, now: Any, given: Any) -> Any:
            network, kernel, P = now
            input, target, weight, noise = given
            current = {**variables, "params": with_kernel(kernel)}
            network, rate = apply(current, network, input, noise, method="step")
            output = apply(current, {"rate": rate}, method="readout_of")
            if learns:
                # Least squares with weights: both sides of every equation times the root of its weight.
                root = jnp.sqrt(weight)[:, None]
                seen = root * apply(current, {"rate": rate}, method="read")
                kernel, P = _learned(kernel, P, seen, root * (output - target))
            return (network, kernel, P), output

        def group(now: Any, given: Any) -> Any:
            """`every` steps: at the first there is an update. A condition in each step would copy P."""
            now, first = step(True, now, jax.tree.map(lambda x: x[0], given))
            now, later = lax.scan(partial(step, False), now, jax.tree.map(lambda x: x[1:], given))
            return now, jnp.concatenate([first[None], later])

        def grouped(x: jax.Array) -> jax.Array:
            """`(time, ...)` in groups; what fills up the last one has no weight."""
            padded = jnp.pad(x, ((0, -len(x) % self.every), *((0, 0),) * (x.ndim - 1)))
            return padded.reshape(-1, self.every, *x.shape[1:])

        network = apply(variables, batch.inputs.shape[0], method="initial_state")
        inputs, targets, mask = (jnp.swapaxes(x, 0, 1) for x in (batch.inputs, batch.targets, batch.mask))
        noise = None
        if on(getattr(bound.model, "noise", 0.0)):
            _, rate = jax.eval_shape(partial(apply, method="step"), variables, network, inputs[0])
            noise = jax.random.normal(ctx.noise, (len(inputs), *rate.shape))
        given = jax.tree.map(grouped, (inputs, targets, mask, noise))
        (_, kernel, P), outputs = lax.scan(group, (network, params["readout"]["kernel"], state), given)
        outputs = jnp.swapaxes(outputs.reshape(-1, *outputs.shape[2:])[: len(inputs)], 0, 1)
        stats = {name: v for name, v in variables.items() if name not in FIXED}
        return Update(with_kernel(kernel), P, bound.task.loss(outputs, batch), stats)


def _learned(kernel: jax.Array, P: jax.Array, rates: jax.Array, error: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The readout and P after rates `(trial, unit)` whose outputs were wrong by `error`, `(trial, output)`."""
    seen = P @ rates.T
    inner = jnp.eye(len(rates)) + rates @ seen
    k = seen / inner if len(rates) == 1 else jnp.linalg.solve(inner, seen.T).T
    return kernel - k @ error, P - k @ seen.T
