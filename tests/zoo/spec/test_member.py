"""The columns of varied fields."""

import dataclasses

import pytest

from models import vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, product
from zoo.spec.member import RESERVED_COLUMNS, varied
from zoo.tasks import flipflop


def test_varied_fields_become_columns_prefixed_where_sections_share_a_name() -> None:
    zoo = small(
        task=product(flipflop.Task, noise=[0.1, 0.2]), model=product(vanilla.Model, noise=[0.1, 0.2], tau=[5, 6])
    )
    assert set(varied(zoo.members)) == {"task.noise", "model.noise", "tau", "learning_rate", "l2"}
    assert set(varied(small(training=product(Training, steps=[1, 2])).members)) >= {"training.steps"}


@pytest.mark.parametrize("name", sorted(RESERVED_COLUMNS))
def test_a_varied_field_that_is_called_like_another_column_is_prefixed(name: str) -> None:
    fields = [(name, int, dataclasses.field(default=1))]
    cls = dataclasses.make_dataclass("Task", fields, bases=(flipflop.Task,), frozen=True)
    members = [member._replace(task=cls(**{name: i})) for i, member in enumerate(small(seeds=2).members)]
    assert f"task.{name}" in varied(members)
    assert name not in varied(members)
