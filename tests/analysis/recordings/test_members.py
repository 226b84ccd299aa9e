"""Pieces as members: names that say whose and when, what all share, halves of units."""

import numpy as np
import pytest

from analysis.activations.types import RDM, Outside, Repeats
from analysis.recordings.matching import ShownStimuli
from analysis.recordings.members import halves, members_of
from analysis.recordings.pieces import Piece
from tests.analysis.recordings.recorded import DRAW, MATRICES, PATTERNS, N

SHOWN = ShownStimuli(8, {})


def piece(units: int = 3, kept: int = 8, who: str = "", repeats: int = 1, aligned: bool = False) -> Piece:
    x = DRAW.normal(size=(repeats, kept, 1, units))
    return Piece("x", who, x, None, np.arange(kept), np.zeros(0), False, aligned, ("patterns",))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sub-01_IT", "sub-02_IT"], {"IT": ["01", "02"]}),
        (["IT/subject1", "IT/subject2", "V4/subject1"], {"IT": ["1", "2"], "V4/subject1": [""]}),
        (["monkeyA", "monkeyB"], {"monkey": ["A", "B"]}),
        (["subtle", "subject"], {"subtle": [""], "subject": [""]}),
        (["ses-1_PFC", "ses-2_PFC"], {"PFC": [""]}),
        (["rate", "run"], {"rate": [""], "run": [""]}),
        (["sub-01_run-1", "sub-01_run-2", "sub-02_run-1"], None),
    ],
)
def test_a_name_that_says_whose_or_when_is_no_other_recording(names: list[str], expected: dict | None) -> None:
    found = members_of([(name, piece()) for name in names], SHOWN)
    subjects: dict[str, list[str]] = {}
    for member in found.members:
        subjects.setdefault(member.labels["recording"], []).append(member.labels["subject"])
    if expected is None:
        ((_, who),) = subjects.items()
        assert who == ["01", "02"]
        assert [member.array.shape[-1] for member in found.members] == [6, 3]
    else:
        assert subjects == expected


def test_all_recordings_are_brought_to_the_stimuli_that_they_share() -> None:
    found = members_of([("a", piece(kept=8)), ("b", piece(kept=6))], SHOWN)
    np.testing.assert_array_equal(found.stimuli, np.arange(6))
    assert [member.array.shape for member in found.members] == [(6, 3), (6, 3)]
    with pytest.raises(ValueError, match="a, b have 3 of the stimuli shown in common; a comparison needs 4"):
        members_of([("a", piece(kept=8)), ("b", piece(kept=3))], SHOWN)


def test_a_mean_over_subjects_is_taken_only_where_units_correspond() -> None:
    alike = members_of([("a", piece(who="1", aligned=True)), ("a", piece(who="2", aligned=True))], SHOWN)
    assert [member.name for member in alike.members] == ["a/1", "a/2", "a/mean"]
    apart = members_of([("a", piece(who="1")), ("a", piece(who="2"))], SHOWN)
    assert [member.name for member in apart.members] == ["a/1", "a/2"]


def test_pooled_subjects_are_one_with_the_units_of_all() -> None:
    both = [("a", piece(3, who="1", repeats=2)), ("a", piece(4, who="2", repeats=3))]
    (pooled,) = members_of(both, SHOWN, pool=True).members
    assert pooled.array.shape == (8, 7)
    assert pooled.repeats is not None
    assert pooled.repeats.shape == (3, 8, 7)
    np.testing.assert_allclose(pooled.array[:, :3], both[0][1].patterns.mean(0)[:, 0])
    rdm = piece()._replace(patterns=None, rdm=np.zeros((8, 8)))
    with pytest.raises(ValueError, match="a holds RDMs, whose units cannot be put together; leave out --pool"):
        members_of([("a", rdm._replace(who="1")), ("a", rdm._replace(who="2"))], SHOWN, pool=True)


def test_complete_repeats_stay_repeats() -> None:
    (member,) = members_of([("a", piece(repeats=3))], SHOWN).members
    assert isinstance(member.array, Repeats)
    assert member.repeats is not None


def test_two_recordings_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Two recordings are called 'a'; rename one"):
        members_of([("a", piece()), ("a", piece())], SHOWN)


def test_halves_share_no_unit_and_hold_all_of_them():
    recording = Outside("m1", DRAW.normal(size=(N, 4, 21)), {"recording": "m1", "subject": "", "source": "recording"})
    one, other = halves(recording)
    both = np.concatenate([one.array, other.array], axis=-1)
    assert one.array.shape[-1] == 10
    np.testing.assert_array_equal(np.sort(both, axis=-1), np.sort(recording.array, axis=-1))
    assert one.labels == {"recording": "m1", "subject": "half 1", "source": "half"}
    np.testing.assert_array_equal(one.array, halves(recording)[0].array)
    assert halves(recording._replace(array=RDM(MATRICES[0]))) == []
    assert halves(recording._replace(array=PATTERNS)) == []


def test_recordings_of_windows_that_do_not_meet_are_refused() -> None:
    shown = ShownStimuli(8, {}, np.arange(10) * 10.0)

    def window(first: float) -> Piece:
        x = DRAW.normal(size=(1, 8, 4, 3))
        return piece()._replace(patterns=x, times=first + np.arange(4) * 10.0, in_time=True)

    with pytest.raises(ValueError, match="a, b have 0 of the networks' time steps in common; give two"):
        members_of([("a", window(0.0)), ("b", window(50.0))], shown)
