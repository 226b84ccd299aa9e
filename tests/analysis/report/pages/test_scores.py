"""The chart of scores: what stands where, with nothing clipped, and which tables are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from analysis import artefacts
from analysis.report.pages import scores
from tests.analysis.report.pictures import compared, drawn, table_of_scores


def test_scores_stand_per_layer_then_baselines_with_nothing_clipped() -> None:
    figure = drawn(scores.draw(table_of_scores(), "zoo"))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["convolution 1", "dense layer 1", "pixels", "V1"]
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle) and 0 < bar.get_width() < 1]
    np.testing.assert_allclose(heights, [0.11, 0.11, 0.31, 0.31, -3.0, 0.7])
    low, high = axes.get_ylim()
    assert low < -3.02, "a score below any axis one would choose"
    assert high > 0.72, "and one above the ceiling"
    assert figure.get_suptitle().startswith("zoo\nagainst IT")
    assert "n = 92 stimuli, 4 subjects" in axes.get_title(loc="left")
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"trained", "untrained", "noise ceiling", "silhouette taken out"} <= set(legend)


def test_scores_without_ceiling_untrained_or_partial_are_drawn_and_not_in_the_legend() -> None:
    table = table_of_scores(ceiling_lower=np.nan, ceiling_upper=np.nan, partial=np.nan, subjects=np.nan, sem=np.nan)
    figure = drawn(scores.draw(table[table["kind"] == "network"], "zoo"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["convolution 1", "dense layer 1"]


def test_a_bar_of_0_one_without_a_value_and_none_look_different() -> None:
    table = table_of_scores(ceiling_lower=np.nan, ceiling_upper=np.nan, partial=np.nan)
    zero = (table["layer"] == "conv1") & (table["kind"] == "network")
    undefined = (table["layer"] == "dense1") & (table["kind"] == "network")
    table = table[table["kind"].isin(["network", "recording"])]
    table = table.assign(score=table["score"].mask(zero, 0.0).mask(undefined | (table["name"] == "V1")))
    axes = drawn(scores.draw(table, "zoo")).axes[0]
    ends = [
        path.vertices for collection in axes.collections for path in collection.get_paths() if len(path.vertices) == 2
    ]
    assert [end[:, 1].tolist() for end in ends] == [[0.0, 0.0]], "a line where the bar would end"
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("undefined", 1 - 0.2), ("undefined", 2)]


def test_networks_are_coloured_by_the_field_that_groups_them() -> None:
    table = table_of_scores().assign(hidden=np.arange(14) % 2)
    figure = drawn(scores.draw(table, "zoo", "hidden"))
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["hidden units 0", "hidden units 1"]


def test_a_table_of_scores_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="has no column 'partial'; it needs measure, recording"):
        scores.draw(table_of_scores().drop(columns="partial"), "zoo")
    with pytest.raises(ValueError, match="has kind 'model'; allowed: network, untrained, baseline, recording"):
        scores.draw(table_of_scores(kind="model"), "zoo")
    with pytest.raises(ValueError, match="shows one recording; this table has 2"):
        scores.draw(pd.concat([table_of_scores(), table_of_scores(recording="V4")]), "zoo")


def test_scores_apply_where_there_are_some_and_names_that_read_like_nothing_stay_names(tmp_path: Path) -> None:
    of = compared(pd.DataFrame(), tmp_path)
    assert not scores.applies(of)
    of.path(artefacts.SCORES).parent.mkdir()
    table_of_scores(recording="NA", layer="1").to_csv(of.path(artefacts.SCORES), index=False)
    assert scores.applies(of)
    found = scores.table_of(of)
    assert set(found["recording"]) == {"NA"}
    assert set(found["layer"]) == {"1"}
    assert found["partial"].isna().any()
