"""Task 2 of the 2019 universality study, frequency-cued sine wave: cells, activations, widths and L2; 128 members.

python run_zoo.py run sine --out zoos/sine
"""

from zoo.presets._universality import universality
from zoo.tasks import sine

zoo = universality("sine", sine.Task(), steps=1500, learning_rate=2e-3)
