"""Four blocks that run all at once, half frozen soon: packs of several blocks, with snapshots.

Where HOLD is set, such a pack waits at a snapshot that is not saved yet.
"""

import functools
import operator
import os

from models import vanilla
from tests.faults.holding import wait
from zoo import Training, Zoo, product
from zoo.devices import default_recipes
from zoo.running.packing import Pack
from zoo.tasks import flipflop

SNAPSHOTS = (5, 60, 120, 150, 195)
RATES = product(
    Training,
    learning_rate=[1e7, 1e8, 0.03, 1e-5],  # two diverge at once, two go on to the end
    optimizer="sgd",
    steps=195,
    batch=4,
    evaluate_every=10,
    snapshots=SNAPSHOTS,
)
TASK = flipflop.Task(steps=6, eval_trials=8, probe_trials=8)
zoo = functools.reduce(
    operator.add,
    (Zoo("snapped", task=TASK, model=vanilla.Model(hidden=4), training=RATES, seeds=[i]) for i in range(4)),
)

if "HOLD" in os.environ:
    default_recipes.TABLE["cpu", "recurrent"] = (4, "vmap", "columns")
    real = Pack.save_snapshots

    def save_snapshots(self: Pack) -> None:
        if len(self.loaded) > 1 and any(loaded.step == 120 for loaded in self.loaded):
            wait("snapped")
        real(self)

    Pack.save_snapshots = save_snapshots
