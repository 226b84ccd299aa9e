"""Centre-out reaching, to set beside motor cortex: two cells, two activations, noise; 24 members, 4 cohorts.

    python run_zoo.py run reach --out zoos/reach
    python run_zoo.py compare zoos/reach --against FILE

Two CPU cores: about a minute and a half, compilation included. Expected: 23 of 24 networks solve the task (R2 of the
hand's velocity .95 or more). FILE holds a recording of 8 directions: `firing_rate (unit, time, stimulus)` with
`time_ms`, relative to movement onset, or any of the forms in docs/data.md.

Against 141 neurons of macaque M1 (Hatsopoulos, Xu & Amit 2007), n = 8 directions, without the time course that these
share; means over 12 networks:

    measure                   gru    untrained   vanilla    untrained   other half of the neurons
    cka                       .66    .63         .46        .62         .57
    rsa                       .38    .40         .20        .39         .28
    predictivity, R2          .44    .33         .30        .23         .41
    dsa, a distance           .11    .17         .14        .39         .05

With eight directions, geometry does not tell trained networks from untrained ones. How well the neurons are predicted
does, and the dynamics do.
"""

from models import gru, vanilla
from zoo import Training, Zoo, product
from zoo.tasks import reach

zoo = Zoo(
    "reach",
    task=reach.Task(noise=0.1),
    model=product(vanilla.Model, activation=["tanh", "relu"], hidden=[64])
    + product(gru.Model, activation=["tanh", "relu"], hidden=[64]),
    training=Training(learning_rate=2e-3, l2=1e-5, steps=800, batch=32, clip=1.0, schedule="cosine"),
    seeds=range(6),
)
