"""Embeddings recover what can be recovered, and the angle is a true distance."""

import numpy as np
import pytest

from analysis.embedding import angular, classical_mds, dendrogram_order, gower, metric_mds


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


def test_the_dendrogram_puts_clusters_next_to_each_other():
    x = np.array([0.0, 10, 0.1, 10.1, 0.2])[:, None]
    order = dendrogram_order(distances(x)).tolist()
    assert {tuple(sorted(order[:3])), tuple(sorted(order[3:]))} == {(0, 2, 4), (1, 3)} or {
        tuple(sorted(order[:2])),
        tuple(sorted(order[2:])),
    } == {(0, 2, 4), (1, 3)}


def test_missing_distances_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="1 of 4 distances are NaN or infinite"):
        classical_mds(np.array([[0, np.nan], [1, 0]]))
    with pytest.raises(ValueError, match=r"this one has shape \(2, 3\)"):
        dendrogram_order(np.zeros((2, 3)))
