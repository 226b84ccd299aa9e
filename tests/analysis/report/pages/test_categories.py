"""Category structure: medians over networks, layers by their names, and where an index rises."""

import numpy as np
import pandas as pd

from analysis.report.pages import categories
from tests.analysis.report.pictures import drawn


def test_category_structure_is_drawn_per_network_and_as_medians_over_the_shared_layers() -> None:
    rows = [
        dict(member=f"m{i}", trained=trained, layer=f"conv{k + 1}", depth=k, depth_fraction=k / 2, index=i + 10 * k)
        for trained in (True, False)
        for i in (0, 1, 5)
        for k in range(3)
    ]
    table = pd.DataFrame(rows).assign(condition="label", model="cnn")
    axes = drawn(categories.draw(table, "model", "zoo")).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["convolution 1", "convolution 2", "convolution 3"]
    (median,) = (line for line in axes.lines if line.get_label() == "trained, median")
    np.testing.assert_allclose(median.get_xdata(), [0, 0.5, 1])
    np.testing.assert_allclose(median.get_ydata(), [1, 11, 21])


def test_a_network_whose_last_layer_is_dead_neither_rises_nor_falls() -> None:
    table = pd.DataFrame({"member": list("aaabbb"), "depth": [0, 1, 2] * 2, "index": [0.1, 0.3, np.nan, 0.1, 0.3, 0.5]})
    table = table.assign(layer=table["depth"], condition="label", trained=True)
    (line,) = categories.category_lines(pd.concat([table, table.assign(trained=False)]))
    assert "0.10 -> 0.50 trained (of 2, rises in 1, falls in 0)" in line
