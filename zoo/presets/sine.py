"""Task 2 of the 2019 universality study, frequency-cued sine wave: cells, activations, widths and L2; 128 members.

    python run_zoo.py run sine --out zoos/sine

Two CPU cores: about 8 minutes. Expected: 111 of 128 networks solve the task; 10 of the 16 LSTMs with ReLU diverge, and
6 of the 16 vanilla networks with ReLU stay below R2 = .95.
"""

from zoo.presets._universality import universality
from zoo.tasks import sine

zoo = universality("sine", sine.Task(), steps=1000, learning_rate=2e-3, vanilla_steps=2000, vanilla_gain=0.9)
