"""Debiased CKA equals pytorch-cka's, which clamps to [0, 1]; runs where it is installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
hsic = pytest.importorskip("cka.hsic")

from analysis.engine.all_pairs import similarities  # noqa: E402
from analysis.engine.preparation import prepare  # noqa: E402
from analysis.measures import cka  # noqa: E402


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
def test_debiased_cka_of_a_stack_equals_the_peer(dtype, atol):
    draw = np.random.default_rng(0)
    x = (draw.standard_normal((6, 100, 20)) + draw.standard_normal((100, 20))).astype(dtype)
    stack = torch.from_numpy(x)
    grams = torch.bmm(stack, stack.transpose(1, 2))
    cross, a, b = (part.numpy() for part in hsic.hsic(grams, grams))
    value = similarities([prepare(cka.Measure(), [x[:, :, None]], dtype)])[0].value
    np.testing.assert_allclose(value, cross / np.sqrt(a[:, None] * b[None]), atol=atol)
