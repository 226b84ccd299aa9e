"""Task 3 of the 2019 universality study, context-dependent integration: cells, activations, widths and L2; 128 members.

python run_zoo.py run context --out zoos/context
"""

from zoo.presets._universality import universality
from zoo.tasks import context

zoo = universality("context", context.Task(), steps=1500, learning_rate=2e-3)
