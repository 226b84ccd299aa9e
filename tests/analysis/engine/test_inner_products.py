"""One walk over blocks of stimuli: bounded memory, one program, and what measures share is made once."""

import jax.numpy as jnp
import numpy as np

from analysis.arithmetic import BUDGET
from analysis.engine import inner_products
from analysis.engine.all_pairs import similarities
from analysis.engine.inner_products import block_size
from analysis.engine.preparation import prepare
from analysis.measures import cka, rsa
from tests.analysis.engine.product import normal, traced


def test_blocks_stay_within_the_budget_and_cover_the_stimuli():
    for members, stimuli, times in [(256, 500, 1), (1000, 1000, 1), (48, 8, 100), (2000, 1000, 1), (2, 5, 1)]:
        block = block_size(members, stimuli, times)
        assert 1 <= block <= stimuli
        assert block == 1 or 2 * members * (block * times) ** 2 * 4 <= BUDGET


def test_nothing_of_members_by_stimuli_squared_is_held_and_what_measures_share_is_held_once():
    members, stimuli, units = 64, 400, 16
    x = normal(0, members, stimuli, 1, units).astype("float32")
    measures = (cka.Measure(), cka.Measure(debiased=False), rsa.Measure(compare="pearson"))
    tree, arrays = inner_products.distinct([[measure.prepare(x) for measure in measures]])
    large = [array for array in arrays if array.size == x.size]
    assert len(large) == 2, "centred patterns of both forms of CKA are one array, z-scored ones of RSA another"
    walk = inner_products.Walk(measures, block_size(members, stimuli, 1), (1, 1, 1), tree, stimuli, True)
    sums = tuple((jnp.zeros((members, members)), jnp.zeros((1, 1, 1))) for _ in measures)
    program = inner_products._add_block.lower(walk, sums, arrays, 0, 0).compile()
    memory = program.memory_analysis()
    assert memory.temp_size_in_bytes + memory.output_size_in_bytes < members * stimuli**2 * 4
    assert memory.argument_size_in_bytes < 3 * x.nbytes


def test_a_gram_block_that_measures_share_is_made_once():
    x = normal(0, 8, 40, 1, 16).astype("float32")
    count = {}
    for name, measures in {"one": (cka.Measure(),), "two": (cka.Measure(), cka.Measure(debiased=False))}.items():
        tree, arrays = inner_products.distinct([[measure.prepare(x) for measure in measures]])
        walk = inner_products.Walk(measures, 40, (1,) * len(measures), tree, 40, True)
        sums = tuple((jnp.zeros((8, 8)), jnp.zeros((1, 1, 1))) for _ in measures)
        program = inner_products._add_block.lower(walk, sums, arrays, 0, 0).compile()
        count[name] = program.cost_analysis()["flops"]
    product = 2 * 8 * 8 * 40 * 40
    assert count["two"] - count["one"] < 1.5 * product, "one more product of maps, and no more Gram blocks"


def test_one_program_serves_all_blocks(monkeypatch):
    groups = [normal(0, 2, 150, 1, 14), normal(1, 2, 150, 1, 15)]
    traces = traced(inner_products, "_add_block", monkeypatch)
    similarities([prepare(cka.Measure(), groups)], budget=2**15)
    similarities([prepare(cka.Measure(), [group + 1 for group in groups])], budget=2**15)
    assert len(traces) == 1


def test_sums_of_blocks_of_any_size_are_the_inner_products_of_the_whole_maps_and_their_sums():
    x = normal(0, 4, 21, 2, 5).astype("float32")
    measures = [cka.Measure(), rsa.Measure(time="samples")]
    states = [[measure.prepare(x) for measure in measures]]
    every = np.arange(21)
    for budget in (1, 2**14, BUDGET):
        inner, totals = inner_products.all_inner_products(measures, states, 21, [2, 2], budget=budget)
        for measure, state, products, total in zip(measures, states[0], inner, totals):
            maps = np.asarray(measure.left(state, every, every), np.float64)
            np.testing.assert_allclose(products, maps @ maps.T, rtol=1e-4, atol=1e-4 * np.abs(maps @ maps.T).max())
            if measure.totals:
                expected = maps.reshape(4, 21, 2, 21, 2).sum((1, 3))
                np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
