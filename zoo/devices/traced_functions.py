"""Functions of one network, traced once for a cohort, kept as long as the function lives and the cohort is in use."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import jaxpr_as_fun

from zoo.devices.compilation import compiler_options, solves
from zoo.keys import threefry_key
from zoo.spec.cohorts import Cohort
from zoo.training.binding import Binder


class TracedFunction(NamedTuple):
    """A function of one network, ready for many.

    Attributes:
      results: shapes of what it gives for one.
      solves: whether it has one of `compilation.SOLVERS`, so that a CPU must run one such program at a time.
      program: `(shared, rows) -> results`, every array of `rows` and of the results with `member` as its first axis; as
        `jax.jit` gives it.
      run: the program, waiting for other solvers where it has one.
    """

    results: Any
    solves: bool
    program: Any
    run: Callable[[Any, Any], Any]


COHORTS_KEPT = 16
"""Cohorts whose programs are kept, those used last: each program takes some fifty of the 65,530 memory maps that a
process of Linux may have, and one too many ends it."""

# A value holds what a function has captured, but never the function: that would keep its own key alive.
_traced: weakref.WeakKeyDictionary[Callable[..., Any], dict[Any, TracedFunction]] = weakref.WeakKeyDictionary()
_recent: OrderedDict[Any, None] = OrderedDict()
_tracing = threading.RLock()  # a function may map another while it is traced


def traced_for(cohort: Cohort, conv_form: str, function: Callable[..., Any], shared: Any, row: Any) -> TracedFunction:
    """A function as a program over members of a cohort, from an earlier call where there was one.

    Args:
      cohort: whose first member stands for all that is static.
      conv_form: how its convolutions are written.
      function: `(bound, variables, key, *shared, *each)`; nothing is kept of one that cannot be hashed or weakly
        referred to.
      shared: what all members get.
      row: floats, variables, the words of the key, `(2,)` uint32, and `each`, of one member.
    """
    leaves, tree = jax.tree.flatten((shared, row))
    static = cohort.members[0].parts, tuple(cohort.traced.values()), conv_form
    key = static, tree, tuple(map(jax.typeof, leaves))
    with _tracing:
        _keep_recent(static)
        programs = _programs_of(function)
        if key not in programs:
            programs[key] = _trace(cohort, conv_form, function, shared, row)
        return programs[key]


def _keep_recent(static: Any) -> None:
    """Forgets the programs of cohorts that were not used for longest; one that runs is not harmed."""
    _recent[static] = None
    _recent.move_to_end(static)
    while len(_recent) > COHORTS_KEPT:
        oldest, _ = _recent.popitem(last=False)
        for programs in list(_traced.values()):
            for key in [key for key in programs if key[0] == oldest]:
                del programs[key]


def _programs_of(function: Callable[..., Any]) -> dict[Any, TracedFunction]:
    try:
        return _traced.setdefault(function, {})
    except TypeError:
        return {}


def _trace(cohort: Cohort, conv_form: str, function: Callable[..., Any], shared: Any, row: Any) -> TracedFunction:
    binder = Binder(cohort.members[0], {"conv_form": conv_form})

    def one(shared: Any, row: Any) -> Any:
        floats, variables, words, each = row
        with jax.default_matmul_precision("highest"):
            key = threefry_key(words[0])
            return function(binder.bind(floats), variables, jax.random.fold_in(key, words[1]), *shared, *each)

    jaxpr, results = jax.make_jaxpr(one, return_shape=True)(shared, row)
    tree, of_one = jax.tree.structure(results), jaxpr_as_fun(jaxpr)

    def run(shared: Any, rows: Any) -> Any:
        return jax.lax.map(lambda row: tree.unflatten(of_one(*jax.tree.leaves((shared, row)))), rows)

    program, is_solver = jax.jit(run, compiler_options=compiler_options()), solves(jaxpr.jaxpr)
    return TracedFunction(results, is_solver, program, _one_at_a_time(program) if is_solver else program)


_solving = threading.RLock()


def _one_at_a_time(program: Any) -> Callable[[Any, Any], Any]:
    """A program that on a CPU is compiled, and then waits for other solvers to end; see `compilation.SOLVERS`."""
    compiled: dict[Any, Any] = {}

    def run(shared: Any, rows: Any) -> Any:
        device = jax.config.jax_default_device or jax.devices()[0]  # pyright: ignore[reportAttributeAccessIssue]
        if device.platform != "cpu":
            return program(shared, rows)
        leaves, tree = jax.tree.flatten((shared, rows))
        key = device, tree, tuple(map(jax.typeof, leaves))
        if key not in compiled:
            compiled[key] = program.lower(shared, rows).compile()
        with _solving:
            return jax.block_until_ready(compiled[key](shared, rows))

    return run
