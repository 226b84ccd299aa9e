"""Task 1 of the 2019 universality study, 3-bit flip-flop: cells, activations, widths and L2; 128 members, 16 cohorts.

python run_zoo.py run flipflop --out zoos/flipflop
"""

from zoo.presets._universality import universality
from zoo.tasks import flipflop

zoo = universality("flipflop", flipflop.Task(bits=3), steps=1000, learning_rate=2e-3)
