"""Task 3 of the 2019 universality study, context-dependent integration: cells, activations, widths and L2; 128 members.

    python run_zoo.py run context --out zoos/context

Two CPU cores: about 8 minutes. Expected: 107 of 128 networks solve the task; 12 of the 16 LSTMs with ReLU diverge, and
9 of the 16 vanilla networks with tanh stay below R2 = .95. The cell explains about half of what separates trained
networks, the activation a fifth, the width nothing.
"""

from zoo.presets._universality import universality
from zoo.tasks import context

zoo = universality("context", context.Task(), steps=1000, learning_rate=2e-3, vanilla_steps=2000, vanilla_gain=0.9)
