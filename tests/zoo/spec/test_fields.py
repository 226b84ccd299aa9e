"""Fields: which are traced, and the one form of a value."""

import json

import pytest

from models import cnn, vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, Zoo, product
from zoo.spec.fields import fields_of
from zoo.tasks import digits, flipflop


def test_an_int_given_for_a_float_field_is_the_float() -> None:
    a = small(model=product(vanilla.Model, tau=[50]))
    b = small(model=product(vanilla.Model, tau=[50.0]))
    assert [m.id for m in a.members] == [m.id for m in b.members]


def test_one_value_for_all_layers_or_one_per_layer() -> None:
    def kernels(*values: object) -> list[object]:
        return [model.kernel for model in product(cnn.Model, kernel=list(values))]

    assert kernels(3, [3], (3,), [3, 3], [3, 5], (5, 3)) == [3, 3, 3, 3, (3, 5), (5, 3)]
    assert product(cnn.Model, kernel=(5, 3)) == product(cnn.Model, kernel=[(5, 3)])  # a tuple is one value
    assert len(product(cnn.Model, activation=["relu", ("relu", "tanh")])) == 2
    zoo = small(model=cnn.Model(kernel=(3, 1), normalization=("none", "batch")), task=digits.Task())
    assert Zoo.from_json(json.loads(json.dumps(zoo.to_json()))).members == zoo.members
    for value, words in [
        ([], "kernel is \\[\\]; it must be one int for all layers or a list of int"),
        ([3, 0], "kernel is .* above 0"),
        ("3", "kernel is '3'; it must be one int for all layers or a list of int"),
        ([3, 2.5], "kernel is .*; it must be an integer"),
    ]:
        with pytest.raises(ValueError, match=words):
            small(model=cnn.Model(kernel=value), task=digits.Task())


def test_minus_zero_is_zero() -> None:
    a, b = (small(training=Training(l2=zero), seeds=[1]) for zero in (0.0, -0.0))
    assert [m.id for m in a.members] == [m.id for m in b.members]


def test_every_traced_field_is_declared_float() -> None:
    for cls in (Training, vanilla.Model, flipflop.Task):
        for field in fields_of(cls).values():
            assert not field.traced or field.type is float


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("snapshots", 3, r"Training\.snapshots is 3; it must be a list of int"),
        ("snapshots", ("a",), r"Training\.snapshots is 'a'; it must be an integer"),
        ("steps", 2**31, r"Training\.steps is 2147483648; it must be at most 2147483647"),
        ("data_seed", 2**32, r"Training\.data_seed is 4294967296; it must be at most 4294967295"),
    ],
)
def test_what_no_program_can_hold_is_refused_in_one_sentence(field: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small(training=product(Training, **{field: [value]}))
