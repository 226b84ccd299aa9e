"""Embeddings recover what can be recovered, and the angle is a true distance."""

import numpy as np
import pytest

from analysis.geometry.embedding import (
    Draws,
    aligned,
    angular,
    classical_mds,
    complete,
    gower,
    mean_region,
    metric_mds,
    resampled,
    stress,
    true_distance,
)


def distances(points):
    return np.sqrt(((points[:, None] - points) ** 2).sum(-1))


def points(members=12, dimensions=2):
    x = np.random.default_rng(0).standard_normal((members, dimensions)) * np.array([3.0, 1.0, 0.5])[:dimensions]
    return x - x.mean(0)


def test_classical_scaling_recovers_euclidean_points():
    distance = distances(points())
    found = classical_mds(distance)
    np.testing.assert_allclose(distances(found.coordinates), distance, atol=1e-10)
    assert found.explained.sum() == pytest.approx(1)
    assert found.stress < 1e-10


def test_metric_scaling_has_less_stress_than_classical_and_keeps_its_orientation():
    distance = distances(points(dimensions=3)) ** 0.7
    start, found = classical_mds(distance), metric_mds(distance)
    assert found.stress < start.stress
    assert (np.sum(found.coordinates * start.coordinates, 0) > 0).all()
    np.testing.assert_array_equal(found.coordinates, metric_mds(distance).coordinates)


def test_fewer_members_than_dimensions_leave_dimensions_empty():
    found = classical_mds(np.array([[0.0]]), 2)
    np.testing.assert_array_equal(found.coordinates, [[0, 0]])


def test_the_angle_keeps_the_triangle_inequality_where_one_minus_similarity_breaks_it():
    vectors = np.array([[1, 0], [1, 1], [0, 1]]) / np.array([[1], [2**0.5], [1]])
    similarity = vectors @ vectors.T
    naive, angle = 1 - similarity, angular(similarity)
    assert naive[0, 2] > naive[0, 1] + naive[1, 2] + 0.1
    assert angle[0, 2] <= angle[0, 1] + angle[1, 2] + 1e-12
    assert angular(-similarity)[0, 1] > np.pi / 2, "negative similarities are kept"
    assert (angular(similarity + 1e-7).diagonal() == 0).all()


def test_centred_inner_products_are_those_of_centred_points():
    x = points()
    np.testing.assert_allclose(gower(distances(x)), x @ x.T, atol=1e-10)


def test_missing_distances_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="1 of 4 distances are NaN or infinite"):
        classical_mds(np.array([[0, np.nan], [1, 0]]))
    with pytest.raises(ValueError, match=r"this one has shape \(2, 3\)"):
        classical_mds(np.zeros((2, 3)))


def test_a_similarity_has_its_angle_a_distance_is_itself_and_a_score_has_none():
    value = np.array([[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(true_distance(value, "similarity"), angular(value))
    np.testing.assert_allclose(true_distance(np.array([[1e-9, 0.2], [0.4, 0]]), "distance"), [[0, 0.3], [0.3, 0]])
    with pytest.raises(ValueError, match="A score has no distance"):
        true_distance(value, "score")


def test_only_items_with_gaps_are_left_out():
    distance = distances(points(6))
    assert complete(distance).tolist() == list(range(6))
    distance[2, :] = distance[:, 2] = np.nan
    distance[0, 5] = distance[5, 0] = np.nan
    kept = complete(distance)
    assert 2 not in kept
    assert np.isfinite(distance[np.ix_(kept, kept)]).all()


def test_stress_is_kruskals():
    x, distance = points(dimensions=3), distances(points(dimensions=3))
    reached = distances(x[:, :2])
    expected = np.sqrt(((distance - reached) ** 2).sum() / (distance**2).sum())
    assert stress(distance, x[:, :2]) == pytest.approx(expected, abs=1e-12)


def test_points_are_rotated_and_reflected_onto_others_but_not_stretched():
    x = points()
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    np.testing.assert_allclose(aligned(x @ turn + 3, x), x, atol=1e-10)
    np.testing.assert_allclose(distances(aligned(2 * x, x)), 2 * distances(x), atol=1e-10)


@pytest.mark.parametrize("metric", [True, False])
def test_a_map_without_error_is_the_same_in_every_draw(metric):
    """Points of a plane: whichever are drawn, all of them, drawn or not, come to lie where they were."""
    x = points(40)
    draws = resampled(distances(x), x, np.arange(40), axes=None if metric else x, draws=20)
    np.testing.assert_allclose(draws.coordinates, np.broadcast_to(x, (20, 40, 2)), atol=1e-4 if metric else 1e-10)
    assert (draws.weights.sum(1) == 40).all()


def test_units_are_drawn_whole_and_items_without_one_are_always_there():
    x = points(12)
    units = np.array([-1, -1, *np.repeat(np.arange(5), 2)])
    weights = resampled(distances(x), x, units, axes=x, draws=50).weights
    assert (weights[:, :2] == 1).all()
    np.testing.assert_array_equal(weights[:, 2::2], weights[:, 3::2])
    assert (weights[:, 2::2].sum(1) == 5).all()


def test_a_metric_draw_has_the_least_weighted_stress():
    distance = distances(points(30, 3)) ** 0.8
    full = metric_mds(distance).coordinates
    draws = resampled(distance, full, np.arange(30), draws=5)

    def loss(x, weight):
        return (weight[:, None] * weight * (distances(x) - distance) ** 2).sum()

    generator = np.random.default_rng(1)
    for weight, x in zip(draws.weights, draws.coordinates):
        assert loss(x, weight) < loss(full, weight)
        for _ in range(50):
            moved = x + 1e-2 * generator.standard_normal(x.shape)
            assert loss(x, weight) < loss(moved, weight)


def test_the_region_of_a_mean_covers_it_in_nine_of_ten_populations():
    draw, inside = np.random.default_rng(0), 0
    for _ in range(400):
        x = draw.standard_normal((8, 2)) @ np.array([[2.0, 0.5], [0, 0.3]])
        weights = draw.multinomial(8, np.full(8, 1 / 8), 100).astype(float)
        region = mean_region(Draws(weights, np.broadcast_to(x, (100, 8, 2))), np.ones(8, bool), np.arange(8))
        assert region is not None
        inside += x.mean(0) @ np.linalg.solve(region, x.mean(0)) <= 1
    assert 0.85 <= inside / 400 <= 0.94


def test_a_mean_of_few_units_has_no_region():
    draws = Draws(np.ones((3, 12)), np.zeros((3, 12, 2)))
    assert mean_region(draws, np.ones(12, bool), np.repeat(np.arange(3), 4)) is None
