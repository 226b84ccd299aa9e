"""What a report takes of a comparison: the field that groups members, and tables where there are any."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import artefacts
from analysis.report.compared import Compared, read_comparisons
from tests.analysis.report.pictures import table_of_scores


def compared(table: pd.DataFrame, path: Path = Path("nowhere")) -> Compared:
    unused: Any = None
    trained: Any = SimpleNamespace(path=path)
    return Compared(trained, "digits", "digits", unused, unused, ["hidden", "gain"], table)


@pytest.mark.parametrize(("levels", "field"), [(1, "gain"), (2, "hidden"), (24, "hidden"), (25, "model")])
def test_members_are_grouped_by_the_first_field_that_varies_unless_a_legend_could_not_name_its_levels(
    levels: int, field: str
) -> None:
    table = pd.DataFrame({"model": "gru", "hidden": np.arange(50) % levels, "gain": np.arange(50) // 25})
    assert compared(table).colouring() == field


def test_scores_are_none_where_there_is_no_file_and_names_that_read_like_nothing_stay_names(tmp_path: Path) -> None:
    of = compared(pd.DataFrame(), tmp_path)
    assert of.scores() is None
    path = artefacts.path_of(tmp_path, "digits", artefacts.SCORES)
    path.parent.mkdir()
    table_of_scores(recording="NA", layer="1").to_csv(path, index=False)
    found: Any = of.scores()
    assert set(found["recording"]) == {"NA"}
    assert set(found["layer"]) == {"1"}
    assert found["partial"].isna().any()


def test_a_directory_that_was_not_compared_is_refused_with_what_to_do(tmp_path: Path) -> None:
    trained: Any = SimpleNamespace(path=tmp_path)
    with pytest.raises(ValueError, match="has no comparison to report; run compare first"):
        read_comparisons(trained)
