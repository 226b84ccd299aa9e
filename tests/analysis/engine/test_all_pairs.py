"""All pairs: the same numbers for every block and tile size, bounded memory, nothing computed twice after a kill."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.engine import all_pairs, inner_products, journal, pair_tiles
from analysis.engine.all_pairs import similarities
from analysis.engine.inner_products import block_size
from analysis.measures import cka, matching, predictivity, procrustes, rsa
from analysis.measures._family import Family

INNER = [cka.Measure(), cka.Measure(debiased=False), rsa.Measure(), rsa.Measure(ranks="exact")]
EVERY = [*INNER, predictivity.Measure(), procrustes.Measure(), matching.Measure()]


@dataclasses.dataclass(frozen=True)
class Product(Family):
    """The inner product of all patterns: a Pair measure that is compiled and does not see units of zeros."""

    time: str = "samples"
    form: ClassVar[str] = "pair"
    pads: ClassVar[bool] = True

    def prepare(self, x):
        return {"x": jnp.asarray(x)}

    def cost(self, state_a, state_b):
        return 8 * state_a["x"][0].size

    def tile(self, a, b):
        return jnp.einsum("aitp,bitp->ab", a["x"], b["x"])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("budget", [1, 2**15])
def test_blocks_and_tiles_of_any_size_give_the_same_values(budget):
    groups = [normal(0, 3, 23, 2, 5), normal(1, 2, 23, 2, 8)]
    whole = similarities(EVERY, groups, dtype="float64")
    parts = similarities(EVERY, groups, dtype="float64", budget=budget)
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)


def test_measures_of_one_request_give_what_each_gives_alone():
    groups = [normal(0, 3, 23, 2, 5)]
    for measure, together in zip(EVERY, similarities(EVERY, groups, dtype="float64")):
        alone = similarities([measure], groups, dtype="float64")[0]
        np.testing.assert_allclose(alone.value, together.value, rtol=1e-12, err_msg=measure.name)


def test_different_times_share_a_matrix_where_the_measure_leaves_one_row_per_stimulus():
    groups = [normal(0, 2, 9, 4, 5), normal(1, 2, 9, 6, 5)]
    value = similarities([cka.Measure(time="last")], groups, dtype="float64")[0].value
    apart = similarities([cka.Measure()], [group[:, :, -1:] for group in groups], dtype="float64")[0].value
    np.testing.assert_allclose(value, apart, atol=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
def test_many_more_rows_than_units_go_by_way_of_the_units_and_give_the_same(debiased, monkeypatch):
    groups = [normal(0, 3, 6, 30, 4), normal(1, 2, 6, 30, 3)]
    measure = cka.Measure(debiased=debiased)
    states = [measure.prepare(x) for x in groups]
    assert all_pairs._crossed(measure, states, inner_products.BUDGET, None) is not None, "180 rows, 4 units"
    assert all_pairs._crossed(measure, [measure.prepare(normal(0, 3, 6, 2, 4))], inner_products.BUDGET, None) is None
    by_units = similarities([measure], groups, dtype="float64")[0].value
    monkeypatch.setattr(all_pairs, "_crossed", lambda *_: None)
    np.testing.assert_allclose(similarities([measure], groups, dtype="float64")[0].value, by_units, atol=1e-12)


def test_blocks_stay_within_the_budget_and_cover_the_stimuli():
    for members, stimuli, times in [(256, 500, 1), (1000, 1000, 1), (48, 8, 100), (2000, 1000, 1), (2, 5, 1)]:
        block = block_size(members, stimuli, times)
        assert 1 <= block <= stimuli
        assert block == 1 or 2 * members * (block * times) ** 2 * 4 <= inner_products.BUDGET


def test_nothing_of_members_by_stimuli_squared_is_held_and_what_measures_share_is_held_once():
    members, stimuli, units = 64, 400, 16
    x = normal(0, members, stimuli, 1, units).astype("float32")
    measures = (cka.Measure(), cka.Measure(debiased=False), rsa.Measure(compare="pearson"))
    tree, arrays = inner_products.distinct([[measure.prepare(x) for measure in measures]])
    large = [array for array in arrays if array.size == x.size]
    assert len(large) == 2, "centred patterns of both forms of CKA are one array, z-scored ones of RSA another"
    plan = inner_products.Plan(measures, block_size(members, stimuli, 1), (1, 1, 1), tree, stimuli, True)
    sums = tuple((jnp.zeros((members, members)), jnp.zeros((1, 1, 1))) for _ in measures)
    program = inner_products._add_block.lower(plan, sums, arrays, 0, 0).compile()
    memory = program.memory_analysis()
    assert memory.temp_size_in_bytes + memory.output_size_in_bytes < members * stimuli**2 * 4
    assert memory.argument_size_in_bytes < 3 * x.nbytes


def test_a_gram_block_that_measures_share_is_made_once():
    x = normal(0, 8, 40, 1, 16).astype("float32")
    count = {}
    for name, measures in {"one": (cka.Measure(),), "two": (cka.Measure(), cka.Measure(debiased=False))}.items():
        tree, arrays = inner_products.distinct([[measure.prepare(x) for measure in measures]])
        plan = inner_products.Plan(measures, 40, (1,) * len(measures), tree, 40, True)
        sums = tuple((jnp.zeros((8, 8)), jnp.zeros((1, 1, 1))) for _ in measures)
        program = inner_products._add_block.lower(plan, sums, arrays, 0, 0).compile()
        count[name] = program.cost_analysis()["flops"]
    product = 2 * 8 * 8 * 40 * 40
    assert count["two"] - count["one"] < 1.5 * product, "one more product of maps, and no more Gram blocks"


def traced(module, name, monkeypatch):
    """A list that grows each time the compiled function of that name is traced."""
    compiled, traces = getattr(module, name), []

    def counted(*args):
        traces.append(1)
        return compiled.__wrapped__(*args)

    monkeypatch.setattr(module, name, jax.jit(counted, static_argnums=0))
    return traces


def test_one_program_serves_all_blocks(monkeypatch):
    groups = [normal(0, 2, 150, 1, 14), normal(1, 2, 150, 1, 15)]
    traces = traced(inner_products, "_add_block", monkeypatch)
    similarities([cka.Measure()], groups, budget=2**15)
    similarities([cka.Measure()], [group + 1 for group in groups], budget=2**15)
    assert len(traces) == 1


def test_groups_of_many_widths_share_one_program_of_a_pair_measure(monkeypatch):
    groups = [normal(units, 1, 20, 1, units) for units in range(3, 15)]
    traces = traced(pair_tiles, "_tile", monkeypatch)
    value = similarities([Product()], [np.pad(x, [(0, 0)] * 3 + [(0, 1)]) for x in groups], dtype="float64")[0].value
    assert len(traces) == 1
    expected = (groups[0] * groups[7][..., :3]).sum()
    assert value[0, 7] == pytest.approx(expected, abs=1e-10)
    apart = similarities([procrustes.Measure()], [groups[0], groups[7]], dtype="float64")[0].value[0, 1]
    assert similarities([procrustes.Measure()], groups, dtype="float64")[0].value[0, 7] == pytest.approx(
        apart, abs=1e-10
    )


class Killed(Exception):
    """In place of a kill, which would end the test too."""


@pytest.mark.parametrize("measure", [cka.Measure(), predictivity.Measure(), Product()], ids=lambda m: m.name)
def test_a_killed_comparison_goes_on_from_its_last_writing(measure, tmp_path, monkeypatch):
    groups = [normal(0, 6, 40, 1, 15), normal(1, 3, 40, 1, 15)]
    small = dict(dtype="float64", budget=2**14)
    whole = similarities([measure], groups, **small)[0]
    monkeypatch.setattr(journal, "SHARE", 0)
    monkeypatch.setattr(journal.Journal.__init__, "__defaults__", (0.0,))
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
        similarities([measure], groups, journal=tmp_path, **small)
    killed, stop = len(count) - 1, 0
    count.clear()
    again = similarities([measure], groups, journal=tmp_path, **small)[0]
    np.testing.assert_array_equal(again.value, whole.value, "the same bits")
    resumed = len(count)
    count.clear()
    similarities([measure], groups, **small)
    assert resumed <= len(count) - killed + 1, "finished blocks are not made again"
    count.clear()
    done = similarities([measure], groups, journal=tmp_path, **small)[0]
    np.testing.assert_array_equal(done.value, again.value)
    assert not count
    count.clear()
    other = similarities([measure], [groups[0] + normal(5, 40, 1, 15), groups[1]], journal=tmp_path, **small)[0]
    assert count, "another request starts anew"
    assert not np.allclose(other.value[0, 1], again.value[0, 1])


def test_a_journal_that_cannot_be_written_ends_alone(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "write_atomically", full)
    with pytest.warns(UserWarning, match="No space left on device.*: killed, this would start anew"):
        kept = similarities([cka.Measure()], [normal(0, 4, 20, 1, 15)], journal=tmp_path)[0].value
    np.testing.assert_array_equal(kept, similarities([cka.Measure()], [normal(0, 4, 20, 1, 15)])[0].value)


def test_another_program_does_not_go_on_from_a_journal(tmp_path, monkeypatch):
    groups = [normal(0, 4, 20, 1, 15)]
    similarities([cka.Measure()], groups, journal=tmp_path)
    (before,) = tmp_path.iterdir()
    monkeypatch.setattr(jax, "__version__", "0.0")
    similarities([cka.Measure()], groups, journal=tmp_path)
    assert {before, *tmp_path.iterdir()} != {before}


def test_a_torn_journal_is_begun_again(tmp_path):
    groups = [normal(0, 4, 20, 1, 15)]
    whole = similarities([cka.Measure()], groups, journal=tmp_path)[0].value
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(similarities([cka.Measure()], groups, journal=tmp_path)[0].value, whole)


def test_blocks_and_tiles_are_dealt_to_all_devices():
    devices = jax.local_devices()
    assert len(devices) > 1
    groups = [normal(0, 5, 40, 1, 15)]
    for measure in (cka.Measure(), Product()):
        one = similarities([measure], groups, dtype="float64", budget=2**13)[0].value
        both = similarities([measure], groups, dtype="float64", budget=2**13, devices=devices)[0].value
        np.testing.assert_allclose(both, one, rtol=1e-10)


def test_float64_does_not_leak_out_of_the_engine():
    for measure in EVERY:
        assert similarities([measure], [normal(0, 2, 12, 1, 4)], dtype="float64")[0].value.dtype == np.float64
    assert jnp.zeros(3).dtype == jnp.float32
