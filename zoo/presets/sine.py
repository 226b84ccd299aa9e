"""Task 2 of the 2019 universality study, frequency-cued sine wave: cells, activations, widths and L2; 128 members.

    python run_zoo.py run sine --out zoos/sine

Two CPU cores: about 8 minutes before vanilla networks trained for 2,000 steps. Expected: 120 or more of 128 networks
solve the task; some vanilla networks with ReLU stay below R2 = .95, half of those of 32 units (from 40 networks; not
yet trained as a whole with these settings). What was chosen so that LSTMs with ReLU do not diverge is in
`zoo/presets/_universality.py`; the study's own settings are not known to us.
"""

from zoo.presets._universality import universality

zoo = universality("sine")
