"""A member's parts with its own floats filled in, what a rule may ask of them, and its streams of random numbers."""

import dataclasses
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models import Network
from zoo.keys import threefry_key
from zoo.rules import Context
from zoo.spec.cohorts import Cohort
from zoo.spec.encoding import canonical_json
from zoo.spec.fields import replaced
from zoo.spec.member import SECTIONS, Member
from zoo.spec.settings import Training
from zoo.tasks import Episode, Trials, is_environment
from zoo.training.acting import rollout
from zoo.training.evaluation import in_parts
from zoo.training.minimised import objective

Variables = dict[str, Any]
"""Collection -> arrays: "params" and, where there are any, "batch_stats" and "constants"."""

_INIT, _DATA, _NOISE, _CONSTANTS, _RULE_DRAWS = range(5)  # the streams of a member


class Floats(NamedTuple):
    """What differs between the members of a cohort: arguments of the program, one value per member.

    Attributes:
      task, model, training, rule: traced field -> value, float32.
      seed: uint32.
    """

    task: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    rule: dict[str, Any]
    seed: Any


class Bound(NamedTuple):
    """One member's parts, whose traced fields hold its own floats: tracers inside a program.

    Attributes:
      task: of `zoo.tasks`.
      model: of `models`, with what the task and the recipe fill in.
      training: the settings.
      rule: of `zoo.rules`.
    """

    task: Any
    model: Network
    training: Training
    rule: Any

    def objective(self, variables: Variables, trials: Trials, noise: jax.Array) -> tuple[jax.Array, Any]:
        """What is minimised, `(total, (loss, stats))`; see `zoo/training/minimised.py`."""
        return objective(self, variables, trials, noise)

    def rollout(
        self,
        variables: Variables,
        keys: jax.Array,
        acting: jax.Array | None,
        perturb: dict[str, Any] | None = None,
    ) -> Episode:
        """What the network and its environment do in turn, an episode per key; see `zoo/training/acting.py`."""
        return rollout(self.task, self.model, variables, keys, acting, perturb)

    def evaluated(self, variables: Variables, data: Any) -> tuple[jax.Array, jax.Array]:
        """Loss and score on the evaluation set."""
        if is_environment(self.task):
            episode = self.rollout(variables, self.task.evaluation(data), None)
            return self.task.loss(episode), self.task.score(episode)
        trials = self.task.evaluation(data)
        outputs = in_parts(lambda x: self.model.apply(variables, x)[0], trials.inputs)
        return self.task.loss(outputs, trials), self.task.score(outputs, trials)


def floats_of(cohort: Cohort) -> Floats:
    """The floats and seeds of a cohort's members, stacked: `(member,)` NumPy arrays."""
    sections = [{n: np.asarray(v, np.float32) for n, v in cohort.floats(s).items()} for s in SECTIONS]
    return Floats(*sections, seed=np.asarray([member.seed for member in cohort.members], np.uint32))


def bound_model(model: Network, task: Any, **given: Any) -> Network:
    """The model with what belongs to the task (sizes, dt) and the recipe (`conv_form`) filled in, where it asks."""
    values = {"outputs": task.outputs, "dt": task.dt, **given}
    return model.clone(**{n: v for n, v in values.items() if hasattr(model, n)})


@dataclasses.dataclass(frozen=True)
class Binder:
    """From a member's floats to its parts; all members of a cohort share one.

    Attributes:
      member: the cohort's first, which stands for all that is static.
      given: fields of the model that the recipe fills in (`conv_form`), where the model has them.
    """

    member: Member
    given: dict[str, Any]

    def bind(self, floats: Floats) -> Bound:
        """The parts of the member with these floats."""
        task = replaced(self.member.task, floats.task)
        model = bound_model(replaced(self.member.model, floats.model), task, **self.given)
        training, rule = replaced(self.member.training, floats.training), replaced(self.member.rule, floats.rule)
        return Bound(task, model, training, rule)

    def initial_key(self, floats: Floats) -> jax.Array:
        """The key of a member's initial parameters."""
        return _stream(floats, _INIT)

    def constants_key(self, floats: Floats) -> jax.Array:
        """The key of what is drawn once and never trained."""
        return _stream(floats, _CONSTANTS)

    def rule_key(self, floats: Floats, step: Any) -> jax.Array:
        """The key of what the rule draws at one training step; of what it begins with, at step -1."""
        return jax.random.fold_in(_stream(floats, _RULE_DRAWS), step + 1)

    def data_key(self, floats: Floats) -> jax.Array:
        """The key of its trials: of its own stream, or of the one that all members with its task share."""
        training = self.member.training
        if training.data == "own":
            return _stream(floats, _DATA)
        shared = zlib.crc32(canonical_json(self.member.task).encode())
        return jax.random.fold_in(threefry_key(training.data_seed), shared)

    def noise_key(self, floats: Floats, step: Any) -> jax.Array:
        """The key of the noise and dropout of one training step."""
        return jax.random.fold_in(_stream(floats, _NOISE), step)

    def begun(self, bound: Bound, floats: Floats) -> tuple[Variables, Any]:
        """A member's variables before training, and what its rule then remembers."""
        keys = {"params": self.initial_key(floats), "constants": self.constants_key(floats)}
        variables = dict(bound.model.init(keys, jnp.zeros((1, *bound.task.input_shape))))
        return variables, bound.rule.init(bound, variables, self.rule_key(floats, -1))

    def batch(self, bound: Bound, floats: Floats, step: Any, data: Any) -> Any:
        """The trials of a step, or the keys of its episodes, `(trial,)`."""
        key, size = self.data_key(floats), bound.training.batch
        if is_environment(bound.task):
            return jax.random.split(jax.random.fold_in(key, step), size)
        return bound.task.sample(key, size, step, data)

    def context(self, floats: Floats, step: Any) -> Context:
        """What a rule is told of a step."""
        return Context(step, self.noise_key(floats, step), lambda: self.rule_key(floats, step))


def _stream(floats: Floats, which: int) -> jax.Array:
    return jax.random.fold_in(threefry_key(floats.seed), which)
