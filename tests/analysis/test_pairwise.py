"""The walk over stimulus blocks: the same numbers for every block size, and bounded memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analysis import pairwise
from analysis.measures import cka, rsa
from analysis.pairwise import block_size, inner_products, similarities

MEASURES = [cka.Measure(), rsa.Measure(), rsa.Measure(ranks="exact")]


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("budget", [1, 2**15])
def test_blocks_of_any_size_give_the_same_inner_products(budget):
    groups = [normal(0, 3, 23, 2, 5), normal(1, 2, 23, 2, 8)]
    whole, _ = inner_products(MEASURES, groups, dtype="float64")
    parts, _ = inner_products(MEASURES, groups, dtype="float64", budget=budget)
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_measures_of_one_request_give_what_each_gives_alone():
    groups = [normal(0, 3, 23, 2, 5)]
    for measure, together in zip(MEASURES, similarities(MEASURES, groups)):
        np.testing.assert_array_equal(similarities([measure], groups)[0].value, together.value)


def test_different_times_share_a_matrix_where_the_measure_leaves_one_row_per_stimulus():
    groups = [normal(0, 2, 9, 4, 5), normal(1, 2, 9, 6, 5)]
    value = similarities([cka.Measure(time="last")], groups, dtype="float64")[0].value
    apart = similarities([cka.Measure()], [group[:, :, -1:] for group in groups], dtype="float64")[0].value
    np.testing.assert_allclose(value, apart, atol=1e-12)


def test_blocks_stay_within_the_budget_and_cover_the_stimuli():
    for members, stimuli, times in [(256, 500, 1), (1000, 1000, 1), (48, 8, 100), (2000, 1000, 1), (2, 5, 1)]:
        block = block_size(members, stimuli, times)
        assert 1 <= block <= stimuli
        assert block == 1 or 2 * members * (block * times) ** 2 * 4 <= pairwise.BUDGET


def test_nothing_of_members_by_stimuli_squared_is_held():
    members, stimuli, units = 64, 400, 16
    x = jax.ShapeDtypeStruct((members, stimuli, 1, units), jnp.float32)
    measures = (cka.Measure(), rsa.Measure(compare="pearson"))
    states = [[jax.eval_shape(measure.prepare, x)] for measure in measures]
    zeros = jax.ShapeDtypeStruct((members, members), jnp.float32), jax.ShapeDtypeStruct((members, 1, 1), jnp.float32)
    sums = tuple(zeros for _ in measures)
    block = block_size(members, stimuli, 1)
    program = pairwise._add_block.lower(measures, block, sums, states, stimuli, 0, 0).compile()
    memory = program.memory_analysis()
    held = memory.temp_size_in_bytes + memory.output_size_in_bytes
    assert held < members * stimuli**2 * 4 / 2
    assert memory.argument_size_in_bytes < 3 * len(measures) * members * stimuli * units * 4


def test_one_program_serves_all_blocks():
    groups = [normal(0, 2, 150, 1, 4), normal(1, 2, 150, 1, 5)]
    pairwise._add_block.clear_cache()
    similarities([cka.Measure()], groups, budget=2**15)
    similarities([cka.Measure()], [group + 1 for group in groups], budget=2**15)
    assert pairwise._add_block._cache_size() == 1


def test_float64_does_not_leak_out_of_the_engine():
    assert similarities([cka.Measure()], [normal(0, 2, 9, 1, 4)], dtype="float64")[0].value.dtype == np.float64
    assert jnp.zeros(3).dtype == jnp.float32
