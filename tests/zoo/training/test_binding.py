"""A member's parts with its own floats, and its streams of random numbers."""

import jax
import numpy as np

from models import vanilla
from zoo import Training, Zoo, product
from zoo.tasks import flipflop
from zoo.training.binding import Binder, floats_of

ZOO = Zoo(
    "binding",
    task=flipflop.Task(),
    model=vanilla.Model(hidden=3, noise=0.1),
    training=product(Training, learning_rate=[1e-3, 1e-2], l2=[0.0, 1e-4]),
    seeds=[3, 5],
)


def test_each_member_is_bound_to_its_own_floats_and_shares_all_else() -> None:
    (cohort,) = ZOO.cohorts
    binder, floats = Binder(cohort.members[0], {}), floats_of(cohort)
    for row, member in enumerate(cohort.members):
        bound = binder.bind(jax.tree.map(lambda x, row=row: x[row], floats))
        assert np.float32(member.training.learning_rate) == bound.training.learning_rate
        assert np.float32(member.training.l2) == bound.training.l2
        assert (bound.training.steps, bound.model.hidden) == (member.training.steps, 3)
        assert (bound.model.outputs, bound.model.dt) == (member.task.outputs, member.task.dt)


def test_the_streams_of_a_member_differ_and_follow_from_its_seed_alone() -> None:
    (cohort,) = ZOO.cohorts
    binder, floats = Binder(cohort.members[0], {}), floats_of(cohort)
    rows = [jax.tree.map(lambda x, row=row: x[row], floats) for row in range(len(cohort.members))]
    keys = {
        (member.seed, name): tuple(jax.random.key_data(key).tolist())
        for member, row in zip(cohort.members, rows)
        for name, key in {
            "initial": binder.initial_key(row),
            "data": binder.data_key(row),
            "noise": binder.noise_key(row, np.int32(0)),
            "next noise": binder.noise_key(row, np.int32(1)),
        }.items()
    }
    assert len(keys) == len(set(keys.values())) == 2 * 4
