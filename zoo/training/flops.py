"""How many floating-point operations a training step takes: those of its products, which are nearly all of them."""

import math
from typing import Any

import jax
import numpy as np

from zoo.spec.cohorts import Cohort
from zoo.training.binding import floats_of
from zoo.training.program import program_of


def step_flops(cohort: Cohort) -> int:
    """The operations of one training step of one member, forward and backward, without its evaluations.

    A product of matrices `(p, q)` and `(q, r)` counts 2 p q r, and so many times as a scan repeats it; of a loop to a
    goal that is not known one pass counts, which is the step.

    Args:
      cohort: whose first member stands for all; nothing is run.
    """
    program = program_of(cohort)
    floats = jax.tree.map(lambda x: x[0], floats_of(cohort))
    state = jax.eval_shape(program.init, floats)
    data = cohort.members[0].task.data()
    traced = jax.make_jaxpr(program.advance)(state, floats, data, np.int32(1), np.bool_(False))
    return _flops(traced.jaxpr)


def _flops(jaxpr: Any) -> int:
    """Of a program, with those inside it."""
    total = 0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            inner = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * inner
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out = parameters["dimension_numbers"].rhs_spec[0]
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // kernel[out]
        elif name != "cond":  # an evaluation, which most steps have not
            times = parameters["length"] if name == "scan" else 1
            total += times * sum(map(_flops, _inside(parameters)))
    return total


def _inside(parameters: Any) -> list[Any]:
    """The programs among the parameters of an equation, but for the condition of a loop."""
    found = []
    for key, value in parameters.items():
        for each in value if isinstance(value, tuple | list) else [value]:
            inner = getattr(each, "jaxpr", each)
            if hasattr(inner, "eqns") and key != "cond_jaxpr":
                found.append(inner)
    return found
