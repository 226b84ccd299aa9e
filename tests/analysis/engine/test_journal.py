"""The journal: nothing is computed twice after a kill, and nothing goes on from what is torn or of another request."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from analysis.engine import inner_products, journal, pair_tiles
from analysis.engine.all_pairs import similarities
from analysis.engine.journal import Journal
from analysis.engine.preparation import prepare
from analysis.measures import cka, predictivity
from tests.analysis.engine.product import Product, normal


class Killed(Exception):
    """In place of a kill, which would end the test too."""


@pytest.mark.parametrize("measure", [cka.Measure(), predictivity.Measure(), Product()], ids=lambda m: m.name)
def test_a_killed_comparison_goes_on_from_its_last_writing(measure, tmp_path, monkeypatch):
    groups = [normal(0, 6, 40, 1, 15), normal(1, 3, 40, 1, 15)]
    request = [prepare(measure, groups, "float64")]
    whole = similarities(request, budget=2**14)[0]
    monkeypatch.setattr(journal, "SHARE", 0)
    monkeypatch.setattr(journal, "SECONDS", 0.0)
    module, name = (pair_tiles, "_tile") if measure.form == "pair" else (inner_products, "_add_block")
    step, count = getattr(module, name), []

    def counted(*args):
        count.append(1)
        if len(count) == stop:
            raise Killed
        return step(*args)

    monkeypatch.setattr(module, name, counted)
    stop = 4
    with pytest.raises(Killed):
        similarities(request, journal=Journal(tmp_path), budget=2**14)
    killed, stop = len(count) - 1, 0
    count.clear()
    again = similarities(request, journal=Journal(tmp_path), budget=2**14)[0]
    np.testing.assert_array_equal(again.value, whole.value, "the same bits")
    resumed = len(count)
    count.clear()
    similarities(request, budget=2**14)
    assert resumed <= len(count) - killed + 1, "finished blocks are not made again"
    count.clear()
    done = similarities(request, journal=Journal(tmp_path), budget=2**14)[0]
    np.testing.assert_array_equal(done.value, again.value)
    assert not count
    count.clear()
    other_request = [prepare(measure, [groups[0] + normal(5, 40, 1, 15), groups[1]], "float64")]
    other = similarities(other_request, journal=Journal(tmp_path), budget=2**14)[0]
    assert count, "another request starts anew"
    assert not np.allclose(other.value[0, 1], again.value[0, 1])


def test_a_journal_that_cannot_be_written_ends_alone(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "write_atomically", full)
    with pytest.warns(UserWarning, match="No space left on device.*: killed, this would start anew"):
        kept = similarities([prepare(cka.Measure(), [normal(0, 4, 20, 1, 15)])], journal=Journal(tmp_path))[0].value
    np.testing.assert_array_equal(kept, similarities([prepare(cka.Measure(), [normal(0, 4, 20, 1, 15)])])[0].value)


def test_another_program_does_not_go_on_from_a_journal(tmp_path, monkeypatch):
    groups = [normal(0, 4, 20, 1, 15)]
    similarities([prepare(cka.Measure(), groups)], journal=Journal(tmp_path))
    (before,) = tmp_path.iterdir()
    monkeypatch.setattr(jax, "__version__", "0.0")
    similarities([prepare(cka.Measure(), groups)], journal=Journal(tmp_path))
    assert {before, *tmp_path.iterdir()} != {before}


def test_a_torn_journal_is_begun_again(tmp_path):
    groups = [normal(0, 4, 20, 1, 15)]
    whole = similarities([prepare(cka.Measure(), groups)], journal=Journal(tmp_path))[0].value
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(
        similarities([prepare(cka.Measure(), groups)], journal=Journal(tmp_path))[0].value, whole
    )


def test_a_file_that_takes_long_to_write_is_written_less_often(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(journal, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept = journal.Journal(tmp_path)
    now[0] = journal.SECONDS - 1
    assert not kept.due
    now[0] = journal.SECONDS
    assert kept.due
    kept.took, kept.last = 2 * journal.SECONDS / journal.SHARE, now[0]
    now[0] += 2 * journal.SECONDS - 1
    assert not kept.due
    now[0] += 1
    assert kept.due
    assert not journal.Journal(None).due


def test_a_key_holds_all_that_decides_a_result():
    x = np.arange(6.0)
    keys = [
        journal.result_key(words, [array])
        for words, array in (("ab", x), ("ba", x), ("ab", -x), ("ab", x[None]), ("ab", x.astype("float32")))
    ]
    assert len(set(keys)) == 5
    assert journal.result_key("ab", [x.copy()]) == keys[0]
