"""The columns of varied fields."""

from models import vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, product
from zoo.spec.member import varied
from zoo.tasks import flipflop


def test_varied_fields_become_columns_prefixed_where_sections_share_a_name() -> None:
    zoo = small(
        task=product(flipflop.Task, noise=[0.1, 0.2]), model=product(vanilla.Model, noise=[0.1, 0.2], tau=[5, 6])
    )
    assert set(varied(zoo.members)) == {"task.noise", "model.noise", "tau", "learning_rate", "l2"}
    assert set(varied(small(training=product(Training, steps=[1, 2])).members)) >= {"training.steps"}
