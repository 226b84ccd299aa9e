"""All pairs: the same numbers for every block and tile size, on any devices, alone and with other measures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis.activations.types import RDMs
from analysis.arithmetic import BUDGET
from analysis.engine import all_pairs
from analysis.engine.all_pairs import similarities
from analysis.engine.preparation import prepare, prepare_all
from analysis.measures import cka, matching, predictivity, procrustes, rsa
from tests.analysis.engine.product import Product, normal
from tests.typecheck import assert_shapes

INNER = [cka.Measure(), cka.Measure(debiased=False), rsa.Measure(), rsa.Measure(ranks="exact")]
EVERY = [*INNER, predictivity.Measure(), procrustes.Measure(), matching.Measure()]
RDMS = ["rdms" in measure.takes for measure in EVERY]


@pytest.mark.parametrize("budget", [1, 2**15])
def test_blocks_and_tiles_of_any_size_give_the_same_values(budget):
    groups = [normal(0, 3, 23, 2, 5), normal(1, 2, 23, 2, 8)]
    whole = similarities(prepare_all(EVERY, groups, "float64"))
    parts = similarities(prepare_all(EVERY, groups, "float64"), budget=budget)
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)


def test_measures_of_one_request_give_what_each_gives_alone():
    groups = [normal(0, 3, 23, 2, 5)]
    for measure, together in zip(EVERY, similarities(prepare_all(EVERY, groups, "float64"))):
        alone = similarities([prepare(measure, groups, "float64")])[0]
        np.testing.assert_allclose(alone.value, together.value, rtol=1e-12, err_msg=measure.name)


def test_different_times_share_a_matrix_where_the_measure_leaves_one_row_per_stimulus():
    groups = [normal(0, 2, 9, 4, 5), normal(1, 2, 9, 6, 5)]
    value = similarities([prepare(cka.Measure(time="last"), groups, "float64")])[0].value
    apart = similarities([prepare(cka.Measure(), [group[:, :, -1:] for group in groups], "float64")])[0].value
    np.testing.assert_allclose(value, apart, atol=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
def test_many_more_rows_than_units_go_by_way_of_the_units_and_give_the_same(debiased, monkeypatch):
    groups = [normal(0, 3, 6, 30, 4), normal(1, 2, 6, 30, 3)]
    measure = cka.Measure(debiased=debiased)
    assert all_pairs._crossed(prepare(measure, groups), BUDGET, None) is not None, "180 rows, 4 units"
    assert all_pairs._crossed(prepare(measure, [normal(0, 3, 6, 2, 4)]), BUDGET, None) is None
    by_units = similarities([prepare(measure, groups, "float64")])[0].value
    monkeypatch.setattr(all_pairs, "_crossed", lambda *_: None)
    np.testing.assert_allclose(similarities([prepare(measure, groups, "float64")])[0].value, by_units, atol=1e-12)


def test_blocks_and_tiles_are_dealt_to_all_devices():
    devices = jax.local_devices()
    assert len(devices) > 1
    groups = [normal(0, 5, 40, 1, 15)]
    for measure in (cka.Measure(), Product()):
        one = similarities([prepare(measure, groups, "float64")], budget=2**13)[0].value
        both = similarities([prepare(measure, groups, "float64")], budget=2**13, devices=devices)[0].value
        np.testing.assert_allclose(both, one, rtol=1e-10)


def test_float64_does_not_leak_out_of_the_engine():
    for measure in EVERY:
        assert similarities([prepare(measure, [normal(0, 2, 12, 1, 4)], "float64")])[0].value.dtype == np.float64
    assert jnp.zeros(3).dtype == jnp.float32


def test_members_that_a_measure_cannot_be_had_of_have_no_values_and_the_others_the_same_ones():
    x = normal(0, 3, 14, 1, 5)
    distances = ((x[:, :, None, 0] - x[:, None, :, 0]) ** 2).sum(-1)
    for result, takes_rdms in zip(similarities(prepare_all(EVERY, [RDMs(distances), x], "float64")), RDMS):
        assert_shapes(result)
        assert np.isnan(result.value[:3]).all() != takes_rdms
        assert np.isfinite(result.value[3:, 3:]).all()
    alone, beside = (
        similarities([prepare(procrustes.Measure(), groups, "float64")])[0].value
        for groups in ([x], [RDMs(distances), x])
    )
    np.testing.assert_array_equal(beside[3:, 3:], alone)
