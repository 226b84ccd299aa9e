"""Task 2 of the 2019 universality study, frequency-cued sine wave: cells, activations, widths and L2; 128 members.

    python run_zoo.py run sine --out zoos/sine

Two CPU cores: about 7 minutes. Expected: 124 of 128 networks solve the task; three LSTMs, of which one diverges, and a
GRU do not. What was chosen so that LSTMs with ReLU do not diverge is in `zoo/presets/_universality.py`; the study's own
settings are not known to us.
"""

from zoo.presets._universality import universality

zoo = universality("sine")
