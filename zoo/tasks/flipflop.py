"""The K-bit flip-flop, or discrete memory: each output holds the sign of the last pulse of its own input.

Sussillo & Barak 2013 (Neural Computation, section 3.2), three bits; Maheswaranathan et al. 2019 (NeurIPS), task 1.
A trained network has one stable fixed point per state of the bits (8 for three bits), and saddles between them.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import Static, off, on, setting
from zoo.keys import threefry_key
from zoo.tasks import Trials, masked_mean, squared_error

EVALUATION, PROBE = 0xF11F0001, 0xF11F0002
"""Seeds of the held-out trials and of the probe; members' own seeds are small numbers."""
PROBE_RATE = 0.08
"""The probe's pulse rate: a constant, so that members trained at different rates meet the same stimuli."""


@dataclasses.dataclass(frozen=True)
class Task:
    """K-bit flip-flop.

    Per bit and step the input is -1 or +1 with probability `pulse_rate / 2` each and 0 otherwise, plus noise, and

        target(t) = sign of the last pulse at or before t.

    The first step gives every bit a pulse, so the target is defined from the first step on and every step counts.
    No latency is allowed for: a step counts from the pulse's own step on, so an output that turns one step late
    loses `pulse_rate / 2` of its accuracy.

    Inputs and targets `(trial, steps, bits)`, mask of ones `(trial, steps)`. Conditions: `state`, the state of the bits
    at the end of the trial read as a binary number, bit 0 the least; `pulses`, the trial's pulses over all bits.

    Attributes:
      bits: number of bits, K.
      steps: time steps of a trial.
      pulse_rate: probability of a pulse per step and bit; to the nearest 2^-15. At 0.08 a bit gets 8 pulses in
        100 steps, and turns 4 times.
      dt: ms per time step.
      noise: standard deviation of the noise added to every input at every step; targets do not see it.
      eval_trials: trials of the held-out set.
      probe_trials: trials of the probe, random ones frozen by a stored key, without noise, at a rate of 0.08.
    """

    bits: int = setting(3, least=1, most=16)
    steps: int = setting(100, least=2)
    pulse_rate: float = setting(0.08, above=0.0, most=1.0)
    dt: Static[float] = setting(10.0, above=0.0)
    noise: float = off(0.0)
    eval_trials: int = setting(256, least=1)
    probe_trials: int = setting(48, least=4)

    scored = "per-bit accuracy"
    chance = 0.5
    solved = 0.99

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.steps, self.bits

    @property
    def outputs(self) -> int:
        return self.bits

    def data(self) -> None:
        return None

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """`batch` random trials of training step `step`."""
        return self._trials(jax.random.fold_in(key, step), batch)

    def _trials(self, key: jax.Array, batch: int) -> Trials:
        pulse_key, noise_key = jax.random.split(key)
        # One uniform number in (-1, 1) per step and bit decides both whether there is a pulse and which: its two tails.
        # Sixteen random bits are enough for it, and threefry is most of what a batch costs.
        shape = (batch, self.steps, self.bits)
        count = math.prod(shape)
        halves = jax.lax.bitcast_convert_type(jax.random.bits(pulse_key, ((count + 1) // 2,)), jnp.int16)
        draw = (halves.reshape(-1)[:count].reshape(shape) + jnp.float32(0.5)) / 2**15
        sign = jnp.where(draw < 0, -1.0, 1.0)
        pulses = jnp.where(jnp.abs(draw) >= 1 - self.pulse_rate, sign, 0.0)
        pulses = pulses.at[:, 0].set(sign[:, 0])
        targets = jax.lax.associative_scan(lambda before, last: jnp.where(last == 0, before, last), pulses, axis=1)

        inputs = pulses
        if on(self.noise):
            inputs = inputs + self.noise * jax.random.normal(noise_key, inputs.shape)
        place = 2 ** jnp.arange(self.bits, dtype=jnp.int32)
        conditions = {
            "state": jnp.sum(jnp.where(targets[:, -1] > 0, place[None], 0), axis=1),
            "pulses": jnp.sum(pulses != 0, axis=(1, 2), dtype=jnp.int32),
        }
        return Trials(inputs, targets, jnp.ones((batch, self.steps)), conditions)

    def condition_words(self, name: str, value: Any) -> str:
        """The signs of the bits, the first first, or how many pulses came."""
        signs = ("+" if int(value) >> bit & 1 else "-" for bit in range(self.bits))
        return " ".join(signs) if name == "state" else f"{value} pulses"

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Mean squared error over masked (trial, step, bit)."""
        return squared_error(outputs, trials)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Per-bit accuracy: the share of masked (trial, step, bit) at which the output is on the target's side of 0."""
        return masked_mean(jnp.float32((outputs > 0) == (trials.targets > 0)), trials.mask)

    def evaluation(self, data: Any = None) -> Trials:
        """Held-out random trials, with the noise and the pulse rate of the task."""
        return self._trials(threefry_key(EVALUATION), self.eval_trials)

    def probe(self, data: Any = None) -> Trials:
        """Random trials frozen by a stored key: the same whatever the pulse rate and the noise."""
        fixed = dataclasses.replace(self, pulse_rate=PROBE_RATE, noise=0.0)
        return fixed._trials(threefry_key(PROBE), self.probe_trials)

    def static_inputs(self) -> dict[str, Any]:
        """No pulse: what the network does while it remembers."""
        return {"no pulse": np.zeros(self.bits)}

    def longer(self, factor: float) -> "Task":
        """The task with trials that many times as long, to the next time step."""
        return dataclasses.replace(self, steps=round(self.steps * factor))
