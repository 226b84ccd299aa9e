"""Recurrent networks on a memory task and small convolutional networks on handwritten digits: 54 members, 7 cohorts.

    python run_zoo.py run demo --out zoos/demo

Two CPU cores: about a minute and a half, compilation included. Expected: all recurrent networks solve the 3-bit
flip-flop (per-bit accuracy .99), median test accuracy of the digit networks .978.
"""

from models import cnn, gru, lstm, ugrnn, vanilla
from zoo import Training, Zoo, product
from zoo.tasks import digits, flipflop

# Each L2 and dropout has seeds of its own: networks of a cohort that share a seed start alike and see the same trials,
# so that neighbouring settings would be copies of one network and no independent evidence.
recurrent = [
    Zoo(
        "demo",
        task=flipflop.Task(bits=3, steps=50),
        model=[vanilla.Model(hidden=48), ugrnn.Model(hidden=48), gru.Model(hidden=48), lstm.Model(hidden=48)],
        training=Training(learning_rate=3e-3, l2=l2, steps=600, batch=32, clip=1.0),
        seeds=range(10 * i, 10 * i + 3),
    )
    for i, l2 in enumerate([1e-6, 1e-5, 1e-4])
]

images = [
    Zoo(
        "demo",
        task=digits.Task(),
        model=product(cnn.Model, channels=[(8, 16), (16, 32), (24, 48)], dense=(32,), dropout=dropout),
        training=Training(learning_rate=3e-3, l2=1e-5, steps=800, batch=64, schedule="cosine"),
        seeds=range(10 * i, 10 * i + 2),
    )
    for i, dropout in enumerate([0.1, 0.2, 0.3])
]

zoo = sum([*recurrent[1:], *images], start=recurrent[0])
