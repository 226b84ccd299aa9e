"""Fixed points of trained networks: what the file and the table say of planted ones, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import artefacts
from analysis.assays.fixed_points import Assay, _labelled, _projected, indices
from analysis.dynamics.search import Ends, Found, Range
from analysis.zoo_assays import assay_of, read_result
from tests.analysis.assayed_zoo import assayed
from zoo.tasks import context, flipflop, sine


def found(moduli: list[list[complex]], came: float = 20.0, kinked: bool = False) -> Found:
    eigenvalues = np.array(moduli, complex).reshape(-1, 2)
    count = len(eigenvalues)
    none, starts, outside = np.zeros(count), np.full(count, came), np.arange(count) < 1
    at_kink = np.arange(count) >= count - kinked
    ends = Ends(60, 1, 2, 1, 0)
    return Found(np.ones((count, 2)), none, none, eigenvalues, starts, none, outside, at_kink, ends)


def table_of(*by_input: Found, bounded: bool = True) -> pd.DataFrame:
    result = _labelled(["m"], ["no pulse", "pulse"][: len(by_input)], ["h[0]", "h[1]"], [[*by_input]], bounded)
    labels = {"trained": ("member", [True]), "probe_name": ("member", ["flipflop"]), "probe": ("member", ["a"])}
    ((name, table),) = Assay().tables(result.assign_coords(labels))
    assert name == "flipflop"
    return table


def test_the_index_of_a_point_turns_with_every_real_eigenvalue_above_1_and_with_no_other() -> None:
    eigenvalues = np.array([[0.5, 0.2], [1.5, 0.2], [1.5, 1.2], [-1.5, 0.2], [1.2 + 1j, 1.2 - 1j]])
    assert indices(eigenvalues).tolist() == [1, -1, 1, 1, 1]
    for values, sign in zip(eigenvalues, indices(eigenvalues)):
        assert np.sign(np.prod(1 - values).real) == sign


PAIR: list[list[complex]] = [[0.5, 0.1], [0.6, 0.1], [1.3, 0.1]]


def test_the_table_counts_points_by_their_unstable_modes() -> None:
    table = table_of(found(PAIR), found([]))
    first = table.iloc[0]
    assert first[["member", "trained", "input", "points", "unstable_0", "unstable_1"]].tolist() == [
        *("m", True, "no pulse", 3, 2, 1)
    ]
    assert first[["index_sum", "complete", "converged", "slow", "stuck", "escaped", "budget"]].tolist() == [
        *(1, True, 60, 1, 2, 1, 0)
    ]
    assert table.iloc[1][["points", "index_sum", "complete"]].tolist() == [0, 0, False]


@pytest.mark.parametrize(("came", "complete"), [(1.0, False), (2.0, True)])
def test_points_that_one_start_each_came_to_are_no_complete_search_though_their_indices_add_up_to_1(
    came: float, complete: bool
) -> None:
    assert table_of(found(PAIR, came))[["index_sum", "complete"]].to_numpy().tolist() == [[1, complete]]


def test_a_point_on_a_kink_counts_but_has_no_unstable_modes_and_leaves_no_index_sum() -> None:
    kink = [[complex(np.nan, np.nan)] * 2]
    (row,) = table_of(found([*PAIR, *kink], kinked=True)).to_dict("records")
    assert [row[name] for name in ("points", "unstable_0", "unstable_1", "kinks")] == [4, 2, 1, 1]
    assert [row["index_sum"], row["complete"]] == ["", ""]


def test_a_point_of_a_continuum_has_no_index() -> None:
    (row,) = table_of(found([[1.0, 0.3], [0.5, 0.3]])).to_dict("records")
    assert [row["points"], row["marginal"], row["index_sum"]] == [2, 1, ""]


def test_where_no_ball_is_mapped_into_itself_there_is_no_index_sum() -> None:
    assert table_of(found([[1.3, 0.1]]), bounded=False)["index_sum"].tolist() == [""]


def test_the_table_of_a_zoo_has_a_row_per_network_state_and_input() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "fixed_points"))
    table = pd.read_csv(artefacts.assay_table(assayed(), "flipflop", "fixed_points"))
    assert len(table) == result.sizes["member"] * result.sizes["input"]
    assert {"member", "trained", "input", "points", "unstable_0", "index_sum", "complete"} <= set(table)
    assert (table["points"] - table["kinks"] == table.filter(like="unstable_").sum(axis=1)).all()
    assert (result["newton_step"].max() < 1e-5) & (result["speed"].max() < 1e-8)


def test_an_unknown_input_is_told_with_the_nearest() -> None:
    assay = assay_of("fixed_points", {"inputs": ("no puls",)})
    with pytest.raises(ValueError, match="The task has no static input 'no puls'; the nearest is 'no pulse'"):
        assay._inputs(flipflop.Task())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rest": np.zeros(2)}, r"The static input 'rest' of .* it must be 3 finite numbers"),
        ({"rest": np.full(3, np.nan)}, r"it must be 3 finite numbers"),
        ({}, "gives none; it must give one or more, or not be there"),
    ],
)
def test_a_static_input_that_the_task_cannot_have_is_refused(given: dict[str, np.ndarray], sentence: str) -> None:
    task = SimpleNamespace(static_inputs=lambda: given, input_shape=(10, 3))
    with pytest.raises(ValueError, match=sentence):
        Assay()._inputs(task)


def test_tasks_say_under_which_inputs_their_networks_are_looked_at() -> None:
    assert Assay()._inputs(context.Task())[1].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
    names, inputs = Assay()._inputs(sine.Task())
    assert names == ["1 Hz", "3 Hz", "5 Hz"]
    np.testing.assert_allclose(inputs[:, 0], [1 / 51 + 0.25, 26 / 51 + 0.25, 1.25])


def test_points_are_projected_on_the_principal_components_of_visited_states() -> None:
    draw = np.random.default_rng(0)
    starts = draw.normal(size=(2, 40, 2)) * np.array([3.0, 0.5])
    centre = starts.mean(1)
    where = Range(starts, centre, np.ones(2), np.ones(2))
    states = draw.normal(size=(2, 1, 3, 2))
    given = {name: part[1] for name, part in _projected(where, states).items() if isinstance(part, tuple)}
    assert given["visited"].shape == (2, 40, 3)
    assert np.isnan(given["visited"][..., 2]).all(), "two coordinates have two components"
    for m in range(2):
        variance = np.var(given["visited"][m, :, :2], axis=0)
        np.testing.assert_allclose(given["explained"][m, :2], variance / variance.sum())
        np.testing.assert_allclose(
            np.linalg.norm(given["projection"][m, 0, :, :2], axis=1), np.linalg.norm(states[m, 0] - centre[m], axis=1)
        )
    still = _projected(Range(np.ones((1, 5, 2)), np.ones((1, 2)), np.zeros(1), np.zeros(1)), states[:1])
    assert np.isnan(still["visited"][1]).all(), "a network that stays where it is has no components"


def test_the_pictures_show_every_kind_of_point_among_the_visited_states() -> None:
    _, result = read_result(artefacts.assay_path(assayed(), "fixed_points"))
    names = [name for name, _ in Assay().figures(result)]
    assert names == ["flipflop", "flipflop-states"]
