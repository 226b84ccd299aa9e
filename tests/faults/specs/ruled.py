"""Networks whose rules remember something; where HOLD is set, a block waits after every save but the first."""

import os
from typing import Any

from models import gru, reservoir
from tests.faults.holding import wait
from zoo import Training, Zoo
from zoo.rules import force, reinforce
from zoo.store.checkpoints import BlockFolder
from zoo.tasks import bandit, targets

zoo = Zoo(
    "ruled",
    task=targets.Task(steps=20),
    model=reservoir.Model(hidden=8),
    training=Training(steps=1000, batch=2, evaluate_every=20),
    rule=force.Rule(),
    seeds=2,
) + Zoo(
    "ruled",
    task=bandit.Task(steps=6, arms=2, eval_trials=4, probe_trials=4),
    model=gru.Model(hidden=3),
    training=Training(steps=1000, batch=2, evaluate_every=20),
    rule=reinforce.Rule(),
    seeds=2,
)

if "HOLD" in os.environ:
    real = BlockFolder.save

    def save(self: BlockFolder, step: int, *content: Any) -> None:
        real(self, step, *content)
        if step:
            wait(self.path.parent.name)

    BlockFolder.save = save
