"""Task 2 of the 2019 universality study, frequency-cued sine wave: cells, activations, widths and L2; 128 members.

    python run_zoo.py run sine --out zoos/sine

Two CPU cores: about 6 minutes. Expected: 122 or more of 128 networks solve the task (not yet trained as a whole with
these settings: with vanilla networks trained for 2,000 steps from weights of .9 of the usual scale 120 did, and four of
the eight that did not were of a kind of which all of eight solve it with these). What was
chosen so that LSTMs with ReLU do not diverge is in `zoo/presets/_universality.py`; the study's own settings are not
known to us.
"""

from zoo.presets._universality import universality

zoo = universality("sine")
