"""A function of one network is traced once for a cohort, and nothing keeps it."""

import gc
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.zoo.small_zoos import FOUR
from zoo.devices.traced_functions import COHORTS_KEPT, traced_for
from zoo.training.binding import Binder, floats_of


def row_of(cohort: Any) -> Any:
    """What a function is given of the first member of a cohort."""
    binder, floats = Binder(cohort.members[0], {}), jax.tree.map(lambda x: x[0], floats_of(cohort))
    variables, _ = jax.eval_shape(lambda floats: binder.begun(binder.bind(floats), floats), floats)
    return floats, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), variables), np.zeros(2, np.uint32), ()


def test_a_function_is_traced_once_and_again_only_for_other_shapes_forms_cohorts_or_functions() -> None:
    (cohort,), (same,), (other,) = (FOUR.replace("model.hidden", hidden).cohorts for hidden in (3, 3, 5))
    traces = []

    def count(bound: Any, variables: Any, key: jax.Array, x: jax.Array) -> jax.Array:
        traces.append(1)
        return x + variables["params"]["recurrent"].sum()

    def traced(cohort: Any = cohort, form: str = "columns", function: Any = count, x: Any = (0, 0)) -> Any:
        return traced_for(cohort, form, function, (np.array(x, np.float32),), row_of(cohort))

    first = traced()
    assert first.results.shape == (2,)
    assert traced(same, x=(1, 1)) is first
    assert len(traces) == 1, "the arrays are others, their shapes are the same"
    for changed in (dict(x=(0, 0, 0)), dict(form="native"), dict(cohort=other), dict(function=lambda *a: count(*a))):
        before = len(traces)
        assert traced(**changed) is not first
        assert len(traces) == before + 1, changed


def test_neither_a_function_nor_what_it_has_captured_outlives_it() -> None:
    (cohort,) = FOUR.cohorts

    def run() -> tuple[Any, Any]:
        large = jnp.arange(7.0)

        def captures(bound: Any, variables: Any, key: jax.Array) -> jax.Array:
            return large + variables["params"]["recurrent"].sum()

        row = row_of(cohort)
        traced_for(cohort, "columns", captures, (), row).run((), jax.tree.map(lambda x: np.asarray(x)[None], row))
        return weakref.ref(captures), weakref.ref(large)

    ends = run()
    gc.collect()
    assert [end() for end in ends] == [None, None]


def test_programs_of_cohorts_that_were_not_used_for_long_are_given_back() -> None:
    def doubled(bound: Any, variables: Any, key: jax.Array) -> jax.Array:
        return 2 * variables["params"]["recurrent"].sum()

    def programs() -> list[weakref.ref]:
        cohorts = [FOUR.replace("model.hidden", hidden).cohorts[0] for hidden in range(3, 4 + COHORTS_KEPT)]
        rows = [(cohort, row_of(cohort)) for cohort in cohorts]
        return [weakref.ref(traced_for(cohort, "columns", doubled, (), row).run) for cohort, row in rows]

    ends = programs()
    gc.collect()
    assert [end() is None for end in ends] == [True, *[False] * COHORTS_KEPT]
