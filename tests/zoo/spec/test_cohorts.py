"""Which members share a program."""

from models import vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, product
from zoo.tasks import digits


def test_a_float_varies_inside_a_cohort_and_everything_else_splits() -> None:
    found = small().cohorts
    assert [len(c.members) for c in found] == [12] * 5
    assert {"learning_rate", "l2"} <= set(found[0].traced["training"])
    assert len(small(training=product(Training, batch=[8, 16])).cohorts) == 10


def test_crossing_an_off_value_is_the_one_float_change_that_splits() -> None:
    noisy = small(model=product(vanilla.Model, noise=[0.0, 0.1, 0.2]))
    found = noisy.cohorts
    assert sorted("noise" in c.traced["model"] for c in found) == [False, True]
    assert sorted(len(c.members) for c in found) == [12, 24]


def test_a_cohorts_id_and_its_members_do_not_depend_on_what_else_is_in_the_zoo() -> None:
    alone = {cohort.id: cohort.members for cohort in small().cohorts}
    beside = {cohort.id: cohort.members for cohort in (small() + small(seeds=[7], task=digits.Task())).cohorts}
    assert alone.items() <= beside.items()
