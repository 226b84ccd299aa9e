"""Rows are matched to stimuli by label: any order of a labelled file gives the same, and doubt is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.recordings.matching import ShownStimuli, matched

NAMES = np.array([f"object_{i}" for i in range(7)])
GRID = ShownStimuli(
    6, {"coherence": np.repeat([-0.1, 0.0, 0.1], 2).astype(np.float32), "context": np.tile(["a", "b"], 3)}
)


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(7)), st.sampled_from(["names", "files", "from 0", "from 1"]))
def test_any_order_of_a_labelled_file_is_brought_to_the_order_shown(order: list[int], kind: str) -> None:
    shown = ShownStimuli(7, {"image_id": NAMES})
    rows = np.array(order)
    label = {
        "names": ("stimulus", NAMES[rows]),
        "files": ("filename", np.array([f"C:\\set\\{name}.PNG" for name in NAMES[rows]])),
        "from 0": ("image", rows),
        "from 1": ("image", rows + 1),
    }[kind]
    match = matched("x", 7, dict([label]), shown)
    np.testing.assert_array_equal(rows[match.rows[:, 0]], np.arange(7))
    np.testing.assert_array_equal(match.kept, np.arange(7))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_every_row_is_found_once_whatever_is_repeated_or_missing(presented: list[int]) -> None:
    rows = np.array(presented)
    match = matched("x", len(rows), {"stimulus": NAMES[rows]}, ShownStimuli(7, {"image_id": NAMES}))
    assert sorted(match.rows[match.rows >= 0]) == list(range(len(rows)))
    np.testing.assert_array_equal(match.kept, np.unique(rows))
    for place, of in zip(match.kept, match.rows):
        assert (rows[of[of >= 0]] == place).all()


def test_the_combination_of_conditions_names_a_stimulus_where_it_is_of_one_only() -> None:
    order = np.array([3, 0, 5, 1, 4, 2])
    labels = {name: values[order] for name, values in GRID.conditions.items()}
    labels["coherence"] = labels["coherence"].astype(np.float64)  # as another program has it
    match = matched("x", 6, labels, GRID)
    np.testing.assert_array_equal(order[match.rows[:, 0]], np.arange(6))
    assert match.how == "stimuli by coherence and context"


def test_a_condition_that_describes_must_agree_with_what_names_the_stimuli() -> None:
    shown = ShownStimuli(7, {"image_id": NAMES, "animate": np.arange(7) % 2})
    order = np.array([6, 5, 4, 3, 2, 1, 0])
    labels = {"image_id": NAMES[order], "animate": (np.arange(7) % 2)[order]}
    assert matched("x", 7, labels, shown).kept.size == 7
    with pytest.raises(ValueError, match="says that stimulus 0 has animate 1 and the networks' has 0; bring its rows"):
        matched("x", 7, {**labels, "animate": 1 - labels["animate"]}, shown)


def test_texts_may_name_more_than_was_shown_and_numbers_may_not() -> None:
    shown = ShownStimuli(7, {"image_id": NAMES, "object": np.arange(7) * 10})
    more = np.array([*NAMES[::-1], "object_99"])
    match = matched("x", 8, {"filename": more}, shown)
    assert match.how == "stimuli by filename as image_id; 1 row of stimuli that were not shown left out"
    with pytest.raises(ValueError, match=r"names its stimuli by object \(0 \.\.\.\), and of the stimuli shown no such"):
        matched("x", 8, {"object": np.arange(8) * 9}, ShownStimuli(7, {"image_id": NAMES}))


def test_a_number_per_row_names_nothing() -> None:
    shown = ShownStimuli(7, {"image_id": NAMES})
    assert matched("x", 7, {"index": np.arange(7)}, shown).how == "order not checked"
    with pytest.raises(ValueError, match="has 6 stimuli and the networks were shown 7"):
        matched("x", 6, {"index": np.arange(6)}, shown)


def test_the_whole_held_out_set_is_taken_at_the_images_shown() -> None:
    shown = ShownStimuli(3, {"image": np.array([7, 2, 9])}, held_out=10)
    match = matched("x", 10, {}, shown)
    np.testing.assert_array_equal(match.rows[:, 0], [7, 2, 9])
    assert match.how == "rows by image"
