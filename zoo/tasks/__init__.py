"""Tasks, one per file, each a frozen dataclass `Task`; the file's name is the task's name.

The contract of a task (`Trials` below holds what it makes):

- Fields are the spec, as for models: `float` is traced, everything else and `Static[float]` is static; `int`, `float`,
  `bool`, `str`, `tuple[T, ...]`, each with a default. Numbers are declared with their limits (`setting`), or with the
  value at which their mechanism is not compiled (`off`: noise).
- `input_shape`: the shape of one trial's input, `(time, unit)` or `(height, width, channel)`; `outputs`: output units;
  `dt`: ms per time step, 0 of images.
- `chance`: what constant outputs, or random ones, score at best, 0 or more; `solved`: the score from which on the task
  counts as solved, above `chance` and at most 1.
- `data() -> dict of NumPy arrays | None`: what the program gets as an argument (images, labels), never captured; the
  same arrays each time. All that follows is pure and can be traced; without `data` it takes what `data()` gives.
- `sample(key, batch, step=0, data=None) -> Trials`: on device, fixed shapes, padding carried by `mask`.
  `key` is the stream's key, the same at every step: fold `step` in, or derive the epoch from it.
- `loss(outputs, trials) -> scalar`, which the targets themselves make least; `score(outputs, trials) -> scalar`, which
  they make 1. What the mask hides counts in neither. Of class targets, outputs are logits.
- `evaluation(data=None) -> Trials`: a fixed held-out set. `probe(data=None) -> Trials`: the same conditions for every
  member, noise-free, or random trials frozen by a stored key where the task is random by nature. No traced field of the
  task reaches the probe: members that differ in it meet the same stimuli.

One more says under which inputs the dynamics of its networks are looked at, if there are others than zeros:

- `static_inputs() -> dict`: name -> input that stays, `(unit,)`, float: "no pulse", "context 1". No traced field of the
  task reaches it.

One makes the same task last longer, if a task can: what networks do beyond the times that they were trained on.

- `longer(factor) -> Task`: trials, or delays, that many times as long; inputs, outputs and dt as they are. It is asked
  inside programs, too, where traced fields hold tracers.

Two more are for readers, if a task says them:

- `scored`: what `score` is, in words: "accuracy".
- `condition_words(name, value) -> str`: a condition of the probe in words: "45 degrees".

What these give is checked before anything is compiled (`zoo/training/answers.py`), and what a program of them does by
`tests/zoo/tasks`.

A task of images (`_images.py` holds what they share) has three more:

- `stimuli(images) -> inputs`: any uint8 images, resized and scaled as the task's own, to show them to its networks.
- `classes`: a name for every label.
- `places() -> (stimulus,)`: where the probe's images stand in the held-out set as published: what was recorded of the
  whole set is read there.

An *environment* is a task whose input depends on what the network did. It has, instead of `sample`:

- `data()` is None: an environment makes what is observed, and is handed nothing else.
- `steps`: time steps of an episode; `input_shape` is `(steps, unit)`, and `outputs` the number of actions, of which the
  network's outputs are the logits.
- `reset(key) -> (world, observation)`: a pytree of arrays, and `(unit,)`, float32.
- `act(world, action, key) -> (world, observation, reward, done)`: of one world, pure; the world has the structure,
  shapes and dtypes that `reset` gives it. `action` is int32; `reward`, float32, and `done`, bool, are scalars. Once a
  world is done, it stands still, and nothing it would answer counts.
- `loss(episode)` and `score(episode)`, of an `Episode`; `evaluation(data=None)`: the keys of the held-out episodes,
  `(trial,)`. There the network takes its likeliest action.
- `probe(data=None) -> Trials`: recorded episodes, made by a stored policy and never by a member's, so that all members
  see the same inputs.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np


class Trials(NamedTuple):
    """A batch of trials of one task.

    Attributes:
      inputs: `(trial, *input_shape)`, float32.
      targets: what the outputs should be, `(trial, time, unit)` or, of images, `(trial, unit)`, float32; or the number
        of the right class, `(trial, time)` or `(trial,)`, int32.
      mask: weight of the outputs in loss and score, `(trial, time)` or, of images, `(trial,)`, float32; 0 where they do
        not count. What follows the last step that counts is padding, see `lengths`.
      conditions: name -> one label per trial, `(trial,)`: the cell of the design that the trial belongs to; {} where
        there is no design.
    """

    inputs: jax.Array
    targets: jax.Array
    mask: jax.Array
    conditions: dict[str, jax.Array]


class Episode(NamedTuple):
    """What networks and their worlds did in turn.

    Attributes:
      inputs: what was observed before each action, `(trial, time, unit)`.
      actions: `(trial, time)`, int32.
      rewards: `(trial, time)`; 0 where the mask is.
      mask: 1 up to the action that ended the world, 0 after it, `(trial, time)`.
      worlds: as the last action left them, `(trial, ...)`.
    """

    inputs: jax.Array
    actions: jax.Array
    rewards: jax.Array
    mask: jax.Array
    worlds: Any


@runtime_checkable
class Task(Protocol):
    """What training and analysis ask of a task; see the module's text."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def outputs(self) -> int: ...
    @property
    def dt(self) -> float: ...
    @property
    def chance(self) -> float: ...
    @property
    def solved(self) -> float: ...

    def data(self) -> dict[str, Any] | None: ...
    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials: ...
    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array: ...
    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array: ...
    def evaluation(self, data: Any = None) -> Trials: ...
    def probe(self, data: Any = None) -> Trials: ...


@runtime_checkable
class Environment(Protocol):
    """What training and analysis ask of an environment; see the module's text."""

    @property
    def steps(self) -> int: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def outputs(self) -> int: ...
    @property
    def dt(self) -> float: ...
    @property
    def chance(self) -> float: ...
    @property
    def solved(self) -> float: ...

    def data(self) -> dict[str, Any] | None: ...
    def reset(self, key: jax.Array) -> tuple[Any, jax.Array]: ...
    def act(self, world: Any, action: jax.Array, key: jax.Array) -> tuple[Any, jax.Array, jax.Array, jax.Array]: ...
    def loss(self, episode: Episode) -> jax.Array: ...
    def score(self, episode: Episode) -> jax.Array: ...
    def evaluation(self, data: Any = None) -> jax.Array: ...
    def probe(self, data: Any = None) -> Trials: ...


def is_environment(task: Any) -> bool:
    """Whether a task answers to what the network does."""
    return hasattr(task, "act")


def static_inputs(task: Any) -> dict[str, np.ndarray]:
    """Name -> input that stays, `(unit,)`; zeros where the task says none.

    Raises:
      ValueError: one of another shape than the task's inputs.
    """
    given, width = getattr(task, "static_inputs", None), task.input_shape[-1]
    inputs = {"no input": np.zeros(width)} if given is None else {str(n): np.asarray(v) for n, v in given().items()}
    name = type(task).__module__.rpartition(".")[2]
    for input_, values in inputs.items():
        if values.shape != (width,) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"The static input {input_!r} of {name} is {values!r}; it must be {width} finite numbers.")
    if not inputs:
        raise ValueError(f"static_inputs of {name} gives none; it must give one or more, or not be there.")
    return inputs


def score_words(task: Any) -> str:
    """What the score of a task is, in words; "score on NAME" where it does not say."""
    return getattr(task, "scored", f"score on {type(task).__module__.rpartition('.')[2]}")


def condition_words(task: Any, name: str, value: Any) -> str:
    """A condition of a task's probe in words; its value where the task does not say."""
    words = getattr(task, "condition_words", None)
    try:
        return str(value if words is None else words(name, value))
    except (OSError, ValueError):  # the names are in a file that is not here
        return str(value)


def lengths(mask: Any) -> np.ndarray:
    """How many time steps each trial lasts, up to the last of them that counts, `(trial,)`; 0 where none does.

    Steps before it belong to the trial, whether they count or not: a network bridges a delay.

    Args:
      mask: of the trials, `(trial, time)`; `(trial,)` of images, which are one step.
    """
    counts = np.asarray(mask) > 0
    counts = counts if counts.ndim == 2 else counts[:, None]
    return (np.arange(1, counts.shape[1] + 1) * counts).max(1)


def squared_error(outputs: jax.Array, trials: Trials) -> jax.Array:
    """Mean squared error over masked (trial, step, output)."""
    return masked_mean(jnp.square(outputs - trials.targets), trials.mask)


def r_squared(outputs: jax.Array, trials: Trials) -> jax.Array:
    """R^2 over masked (trial, step, output) of all trials together: 1 - error / variance of the targets."""
    mean = masked_mean(trials.targets, trials.mask)
    return 1 - squared_error(outputs, trials) / masked_mean(jnp.square(trials.targets - mean), trials.mask)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of `(trial, time, unit)` over units, trials and steps, weighted by the mask `(trial, time)`."""
    return jnp.sum(jnp.mean(values, axis=-1) * mask) / jnp.sum(mask)
