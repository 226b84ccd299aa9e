"""Selection: networks of one planted mechanism are in its corner, whatever the units are called."""

import numpy as np
import pytest

from analysis.dynamics.selection import MECHANISMS, Modes, alignments, selection_of

R = np.array([1.0, 0.0, 0.0])
EITHER = np.array([1.0, 1.0, 0.0])
"""A selection vector that passes what is off the line, too."""


def modes(left: np.ndarray, *inputs: np.ndarray) -> Modes:
    """Of one point; the last channel is the context."""
    return Modes(R[None], left[None], np.stack([*inputs, np.ones(3)], axis=-1)[None])


def corner(mechanism: str) -> tuple[Modes, Modes]:
    """Two contexts that differ in this and in nothing else: the first integrates channel 0, the second channel 1."""
    along, across, nothing = R, np.array([0.0, 1.0, 0.0]), np.zeros(3)
    if mechanism == "direct input":
        return modes(R, along, nothing), modes(R, nothing, along)
    if mechanism == "indirect input":
        return modes(EITHER, across, nothing), modes(EITHER, nothing, across)
    other = np.array([0.0, 0.0, 1.0])
    return modes(R + across, across, other), modes(R + other, across, other)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_network_of_one_mechanism_is_in_its_corner(mechanism: str, turned: bool) -> None:
    contexts = corner(mechanism)
    if turned:  # other units, and eigenvectors of the other sign
        turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
        contexts = [
            Modes(sign * m.right @ turn.T, sign * m.left @ turn.T, np.einsum("ij,pju->piu", turn, m.inputs))
            for sign, m in zip((1, -1), contexts)
        ]
    found = selection_of(contexts, np.array([0, 1]))
    np.testing.assert_allclose(found.coordinates, np.array(MECHANISMS) == mechanism, atol=1e-12)
    np.testing.assert_allclose(found.selectivity, 1)
    assert found.parallel == pytest.approx(1)
    assert found.by_channel.shape == (2, 3)


def test_the_three_parts_add_up_to_what_the_input_does_more_in_one_context() -> None:
    draw = np.random.default_rng(0)

    def drawn(points: int) -> Modes:
        right = R[None] + 0.2 * draw.normal(size=(points, 3))
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        left = draw.normal(size=(points, 3))
        return Modes(right, left / (left * right).sum(1, keepdims=True), draw.normal(size=(points, 3, 2)))

    one, other = drawn(3), drawn(4)
    found = selection_of([one, other], np.array([0, 1]))
    moved = [np.einsum("pc,pcu->pu", m.left, m.inputs).mean(0) for m in (one, other)]
    np.testing.assert_allclose(found.by_channel.sum(1), np.abs(moved[0] - moved[1]))
    assert found.coordinates.sum() == pytest.approx(1)
    shuffled = Modes(*(part[::-1] for part in other))
    np.testing.assert_allclose(selection_of([one, shuffled], np.array([0, 1])).coordinates, found.coordinates)


def test_a_network_that_selects_nothing_or_has_one_context_has_no_coordinates() -> None:
    same = modes(EITHER, R, R)
    assert np.isnan(selection_of([same, same], np.array([0, 1])).coordinates).all()
    np.testing.assert_allclose(selection_of([same, same], np.array([0, 1])).selectivity, 0)
    none = Modes(*(part[:0] for part in same))
    for contexts in ([same, none], [same], []):
        found = selection_of(contexts, np.array([0, 1]))
        assert np.isnan([*found.coordinates, *found.selectivity, found.parallel]).all()


def test_alignments_are_cosines_without_their_sign() -> None:
    left = np.array([[1.0, 0.0], [-1.0, 0.0]])
    inputs = np.broadcast_to(np.array([[2.0, 3.0, 0.0], [0.0, 3.0, 0.0]]), (2, 2, 3))
    np.testing.assert_allclose(alignments(left, inputs), [1.0, np.sqrt(0.5), np.nan])
    assert np.isnan(alignments(left[:0], inputs[:0])).all()
