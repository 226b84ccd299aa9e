"""Learning rules, one per file, each a frozen dataclass `Rule`; the file's name is the rule's name.

The contract of a rule, a section of the spec (`Zoo(..., rule=force.Rule(alpha=1.0))`, `--rule.alpha 1`):

- Fields are the spec, as for models: `float` is traced, everything else and `Static[float]` is static; each has a
  default.
- `takes`: "trials", those of a task, or "environment", one that answers to what the network does.
- `uses`: the fields of Training that it reads, of those in `TUNABLE`; others are refused unless at their default. The
  engine reads all the rest (steps, batch, data, target ...) for every rule.
- `fits(model, task)`: None, or a clause that says why it cannot train this model on this task ("it needs ...").
- `init(bound, variables, key) -> state`: a pytree that the rule remembers between steps (inverse correlations, traces,
  importances, a baseline); `()` where it remembers nothing. It keeps its structure, shapes and dtypes. It is
  checkpointed, restored bit for bit, counted in the memory plan, and freezes with its member. The optimizer's moments
  are not part of it: the engine keeps those.
- Then one of two. Both get one member: `bound` has its parts with their floats filled in; `variables` are
  "params" and, where there are any, "batch_stats" and "constants"; `batch` is `Trials`, or of an environment the keys
  of this step's episodes, `(trial,)`; `ctx` is a `Context`. Both are pure, and traced once for all members.
  - `gradient(bound, variables, state, batch, ctx) -> Gradient`: something in the shape of the parameters that stands
    where a gradient would; the engine clips it and steps with the optimizer, rate and schedule of Training.
  - `update(bound, variables, state, batch, ctx) -> Update`: the new parameters themselves.

What a rule gives is compared with this text before anything is compiled.

A rule may hold another in a field `inner: AnyRule = bptt.Rule()`, and call its methods: so protections, masks and
curricula go with every rule. The fields of the inner one are part of the spec (`--rule.inner force --rule.inner.alpha
1`), `takes` and `uses` may be properties, and one that has `gradient` and `update` is what its inner rule is.

What `bound` offers beside its parts: `objective(variables, trials, noise) -> (total, (loss, stats))`, the loss with
regularisers (`total`) and without, and the new batch statistics; `rollout(variables, keys, acting) -> Episode` of an
environment, with worlds from `keys` and actions drawn from the key `acting`, such as `ctx.noise`: so members that share
their data still explore each for itself. What is not finite in `watch`, in the gradient's norm, in the new variables,
in the rule's state or, of an `update`, in the loss, freezes the member at its last good state.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import jax

RULE = "rule"
AnyRule = Annotated[Any, RULE]
"""The type of a field that holds another rule: `inner: AnyRule = bptt.Rule()`."""

TAKEN = ("trials", "environment")
"""What a rule may take."""

REGULARISERS = ("l2", "rate_l2", "recurrent_l1", "recurrent_nuclear")
"""The fields of Training that are terms of what is minimised."""

TUNABLE = ("learning_rate", "optimizer", "momentum", "schedule", "final", "warmup", *REGULARISERS, "clip")
"""The fields of Training that a rule may read or not."""


@dataclasses.dataclass(frozen=True)
class Context:
    """When an update happens, and the random numbers that it may use.

    Attributes:
      step: updates before this one, int32.
      noise: key of the network's noise and dropout, another one at every step.
      draw: makes `key`, another one at every step; a program whose rule draws nothing does not hold it.
    """

    step: Any
    noise: "jax.Array"
    draw: "Callable[[], jax.Array]"

    @property
    def key(self) -> "jax.Array":
        """The key of the rule's own draws."""
        return self.draw()


class Gradient(NamedTuple):
    """What a rule that has `gradient` gives.

    Attributes:
      grads: in the shape of the parameters.
      state: what the rule remembers.
      loss: of the task, on this batch.
      stats: new batch statistics, collection -> arrays; {} where there are none.
      watch: scalars that must be finite.
    """

    grads: Any
    state: Any
    loss: "jax.Array"
    stats: Any
    watch: tuple[Any, ...] = ()


class Update(NamedTuple):
    """What a rule that has `update` gives; the rest as of `Gradient`.

    Attributes:
      params: the new parameters.
    """

    params: Any
    state: Any
    loss: "jax.Array"
    stats: Any
    watch: tuple[Any, ...] = ()


@runtime_checkable
class Rule(Protocol):
    """What training asks of every rule, beside its `gradient` or its `update`; see the module's text."""

    takes: ClassVar[str]
    uses: ClassVar[frozenset[str]]

    def fits(self, model: Any, task: Any) -> str | None: ...
    def init(self, bound: Any, variables: Any, key: "jax.Array") -> Any: ...


@runtime_checkable
class GradientRule(Rule, Protocol):
    """A rule whose updates the engine makes."""

    def gradient(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Gradient: ...


@runtime_checkable
class UpdateRule(Rule, Protocol):
    """A rule that makes its updates itself."""

    def update(self, bound: Any, variables: Any, state: Any, batch: Any, ctx: Context) -> Update: ...


def is_gradient(rule: Any) -> bool:
    """Whether the engine makes a rule's updates with the optimizer; one with both methods is what it holds."""
    if hasattr(rule, "gradient") and hasattr(rule, "update"):
        return is_gradient(rule.inner)
    return hasattr(rule, "gradient")
