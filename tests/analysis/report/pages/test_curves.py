"""Training curves: medians over members, those that stopped included."""

import numpy as np
import pandas as pd

from analysis.report.pages import curves


def test_a_stopped_members_curve_stays_where_it_is_in_the_picture() -> None:
    frame = pd.DataFrame(
        {"member": list("aabbb"), "step": [0, 1, 0, 1, 2], "loss": [1.0, 0.1, 1.0, 9.0, 9.0], "score": [0.5] * 5}
    )
    figure = curves.draw(frame, {"a": "g", "b": "g"}, chance=0.1, solved=0.9, title="t")
    medians = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(medians, [1.0, 4.55, 4.55])
