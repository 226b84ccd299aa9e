"""Low-rank recurrent network: rate units whose recurrent weights are a product of few vectors.

    W = n m' / N,    h_t = (1 - a) h_{t-1} + a (f(h_{t-1}) W + x_t W_in + b),    r_t = f(h_t)

`a = min(dt / tau, 1)`; m and n are trained, each `(unit, rank)`. Rows of W are the sending units: rates are weighed by
the columns of n, and all recurrent input lies in the span of the columns of m. m and n begin as standard normal
numbers, m times `gain`. The readout is `y_t = r_t W_out + b_out`. The state h starts at 0.

Mastrogiuseppe & Ostojic (2018), Neuron 99, 609; Dubreuil, Valente, Beiran, Mastrogiuseppe & Ostojic (2022), Nature
Neuroscience 25, 783. The weights of W change N times slower than m and n: learning rates are larger than those of
`vanilla`, about 0.01.
Noise, in training only: `sigma sqrt(2 a) xi` added to h, xi standard normal.
"""

from typing import Any

import jax
from flax import linen as nn

from models import Static, given, off, setting
from models._layers import ACTIVATIONS, SATURATING, activation, scaled
from models._products import Dense, backward_of, product
from models._recurrence import plus
from models._recurrent import Leaky


class Model(Leaky):
    """See the module's text.

    Attributes:
      hidden: units N.
      rank: columns of m and n; of more than N the weights are of rank N.
      activation: f.
      tau: time constant, ms; at or below dt it acts as dt.
      gain: factor on the initial m.
      noise: sigma.
      outputs: readout units.
      dt: ms per time step.
    """

    hidden: int = setting(64, above=0)
    rank: int = setting(2, least=1)
    activation: str = setting("tanh", choices=tuple(ACTIVATIONS))
    tau: float = setting(100.0, above=0.0)
    gain: float = setting(1.0, least=0.0)
    noise: float = off(0.0)
    outputs: int = given(1)
    dt: Static[float] = given(0.0)

    @property
    def bounded(self) -> bool:
        """Where the activation is: the leak shrinks what is large."""
        return self.activation in SATURATING

    def setup(self) -> None:
        normal = nn.initializers.normal(1.0)
        self.input = Dense(self.hidden, kernel_init=self.input_init(), bias_init=self.input_bias())
        self.m = self.param("m", scaled(normal, self.gain), (self.hidden, self.rank))
        self.n = self.param("n", normal, (self.hidden, self.rank))
        self.readout = Dense(self.outputs, kernel_init=self.readout_init())

    def weight(self) -> jax.Array:
        return product(self.n, self.m.T / self.hidden, self._backward_m())

    def backward(self) -> jax.Array | None:
        m, n = self._backward_m(), backward_of(self, "n")
        if m is None and n is None:
            return None
        return (self.n if n is None else n) @ (self.m.T / self.hidden if m is None else m)

    def _backward_m(self) -> jax.Array | None:
        """What the error of the product with m' / N goes back through."""
        backward = backward_of(self, "m")
        return None if backward is None else backward.T / self.hidden

    def cell(self, q: Any, state: jax.Array, drive: Any, recurrent: Any, noise: Any) -> jax.Array:
        """The next h."""
        return plus((1 - q["alpha"]) * state + q["alpha"] * (recurrent[0] + drive[0]), noise)

    def observe(self, q: Any, state: jax.Array) -> dict[str, jax.Array]:
        """The rates."""
        return {"rate": activation(self.activation)(state)}
