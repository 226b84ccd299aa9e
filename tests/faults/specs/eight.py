"""Eight cohorts of two members."""

from models import vanilla
from zoo import Training, Zoo, product
from zoo.tasks import flipflop

zoo = Zoo(
    "eight",
    task=flipflop.Task(steps=6, eval_trials=8, probe_trials=8),
    model=product(vanilla.Model, hidden=list(range(2, 10))),
    training=Training(steps=400, batch=4, evaluate_every=100),
    seeds=2,
)
