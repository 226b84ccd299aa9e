"""What a model gives in another shape than its contract's is one sentence with its file."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from models import given, gru, setting
from models._recurrent import Recurrent
from tests.models.small_models import FILES, make
from tests.zoo.tasks import class_targets
from zoo import Training, Zoo
from zoo.tasks import digits, flipflop
from zoo.training import model_answers
from zoo.training.shapes import check

FLIPFLOP = flipflop.Task(steps=20, bits=1, eval_trials=4, probe_trials=4)
BY_TRIAL = class_targets.Task(by="trial")


class Plain(nn.Module):
    """A feedforward network of one layer."""

    gain: float = setting(1.0)
    outputs: int = given(1)

    family: ClassVar[str] = "feedforward"

    @nn.compact
    def __call__(self, inputs: Any, train: bool = False, perturb: Any = None) -> Any:
        hidden = nn.Dense(3, name="hidden")(inputs.reshape(len(inputs), -1)) * self.gain
        return nn.Dense(self.outputs, name="readout")(hidden), {"hidden": hidden}


class Rates(Recurrent):
    """A recurrent network that declares what it must, and no noise."""

    hidden: int = 5
    gain: float = 1.0
    outputs: int = given(1)

    def cell(self, q: Any, state: Any, drive: Any, recurrent: Any, noise: Any) -> Any:
        return jnp.tanh(drive[0] + recurrent[0])


def with_members(base: type, **members: Any) -> Any:
    """A model of a file of its own, `models/mine.py`."""
    for member in members.values():
        if hasattr(member, "__module__"):
            member.__module__ = "models.mine"
    return type("Model", (base,), {**members, "__module__": "models.mine"})()


def passing(change: Any) -> Any:
    """`__call__` of `Plain` with what it gives changed."""

    def __call__(self: Any, inputs: Any, train: bool = False, perturb: Any = None) -> Any:
        return change(self, *Plain.__call__(self, inputs), train)

    return nn.compact(__call__)


def no_perturb(self: Any, inputs: Any, train: bool = False) -> Any:
    return Plain.__call__(self, inputs)


def kept(name: str, collection: str = "params") -> Any:
    """A pass that also keeps an array of its own."""

    def change(self: Any, outputs: Any, layers: Any, train: bool) -> Any:
        self.variable(collection, name, jnp.zeros, (2,))
        return outputs, layers

    return passing(change)


LEAK = dict(
    setup=lambda self: (Recurrent.setup(self), setattr(self, "leak", self.param("leak", nn.zeros, ())))[0],
    hyperparameters=lambda self: {"tau": 2.0, "alpha": jax.nn.sigmoid(self.leak) * self.gain},
)


@pytest.mark.parametrize(
    ("base", "members", "sentence"),
    [
        (Plain, {"__call__": nn.compact(no_perturb)}, "apply(train=True, perturb=...) fails: TypeError: "),
        (
            Plain,
            {"__call__": passing(lambda self, y, r, train: (y, {"hidden": r["hidden"][0]}))},
            "apply gives the representation 'hidden' as float32 (3,), but must give an array whose first axes are ",
        ),
        (
            Plain,
            {"__call__": passing(lambda self, y, r, train: (y, {"hidden": [r["hidden"]]}))},
            "apply gives the representation 'hidden' as a list, but must give an array whose first axes are ",
        ),
        (
            Plain,
            {"__call__": passing(lambda self, y, r, train: (y, {"hidden.pre": r["hidden"]}))},
            "apply gives the representations hidden.pre, but must give one that is not '.pre'.",
        ),
        (
            Plain,
            {"__call__": passing(lambda self, y, r, train: (y, {} if train else r))},
            "apply(train=True, perturb=...) gives an answer without 1.hidden, but must give the structure of apply",
        ),
        (
            Plain,
            {"__call__": kept("mask", "masks")},
            "init gives the collection 'masks', but must give none but params, batch_stats, constants.",
        ),
        (
            Plain,
            {"__call__": kept("mask", "backward")},
            "init gives the collection 'backward', but must give none but params, batch_stats, constants.",
        ),
        (
            Plain,
            {"__call__": kept("a.b", "constants")},
            "init gives the name 'a.b', but must give names without a dot.",
        ),
        (
            Rates,
            {"step": lambda self, state, input, noise=None, perturb=None: state},
            "step gives float32 (4, 5), but must give (state, a rate).",
        ),
        (
            Rates,
            {"respond": lambda self, state, input, noise=None, perturb=None: (state, state)},
            "respond gives outputs float32 (4, 5), but must give float32 (4, 1): trial, unit.",
        ),
        (
            Rates,
            LEAK,
            "hyperparameters gives 'alpha', which depends on the trained leak, but must give what depends on fields "
            "and constants alone; put it into `quantities`, where it gets its gradient.",
        ),
    ],
)
def test_a_model_that_gives_another_shape_is_one_sentence_with_file_member_and_what_is_expected(
    base: type, members: dict[str, Any], sentence: str
) -> None:
    assert refusal(with_members(base, **members)).startswith(f"models/mine.py: {sentence}")


@pytest.mark.parametrize(
    ("base", "members", "sentence"),
    [
        (
            Rates,
            {"observe": lambda self, q, state: {"voltage": state}},
            "models/mine.py: observe gives 'voltage', but must give 'rate', and what else is shown.",
        ),
        (
            Rates,
            {"cell": lambda self, q, state, drive, recurrent, noise: state[:, :3]},
            "models/mine.py: cell gives a state (4, 3), but must give (4, 5), as the one before.",
        ),
        (Plain, {"__call__": passing(lambda self, y, r, train: (y if self.gain > 0 else -y, r))}, "TracerBool"),
    ],
)
def test_a_model_that_cannot_be_traced_is_one_sentence_that_names_it(
    base: type, members: dict[str, Any], sentence: str
) -> None:
    task = FLIPFLOP if base is Rates else BY_TRIAL
    beginning = f"mine.Model cannot be trained on {type(task).__module__.rpartition('.')[2]}.Task: {sentence}"
    assert refusal(with_members(base, **members)).startswith(beginning)


def refusal(model: Any) -> str:
    task = FLIPFLOP if model.family == "recurrent" else BY_TRIAL
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the whole beginning is compared
        model_answers.begun(model, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("file", FILES)
def test_every_model_of_the_folder_keeps_its_contract(file: str) -> None:
    model = make(file)
    task = {"recurrent": FLIPFLOP, "feedforward": BY_TRIAL, "convolutional": digits.Task()}[model.family]
    assert model_answers.begun(model, task).variables["params"]


def test_a_recurrent_model_without_a_field_for_noise_has_none() -> None:
    network = model_answers.begun(with_members(Rates), FLIPFLOP)
    assert set(network.variables["params"]) == {"input", "recurrent", "readout"}


def test_a_pass_in_training_is_traced_under_the_default_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    def noise_of(*_: Any) -> Any:
        raise AttributeError("no sigma")

    monkeypatch.setattr(gru.Model, "noise_of", noise_of)
    zoo = Zoo("noisy", task=FLIPFLOP, model=gru.Model(hidden=3, noise=0.7), training=Training())
    with pytest.raises(ValueError, match=r"^models/gru.py: apply\(train=True, .*\) fails: AttributeError: no sigma\.$"):
        check(zoo.cohorts[0])


def test_the_rate_comes_first_in_the_order_in_which_a_model_shows_it_whatever_the_names() -> None:
    shown = with_members(Rates, observe=lambda self, q, state: {"rate": state, "adaptation": state})
    assert list(model_answers.begun(shown, FLIPFLOP).layers) == ["rate", "adaptation"]
    late = with_members(Rates, observe=lambda self, q, state: {"voltage": state, "rate": state})
    assert list(model_answers.begun(late, FLIPFLOP).layers) == ["rate", "voltage"], "the base class sees to it"
