"""Autonomous activity: what goes round goes on moving, what rests does not, whatever the length of the trial."""

import numpy as np
import pytest

from analysis.activations.probes import probes_of
from analysis.assays._assayed import Assayed
from analysis.assays.autonomous import Assay
from models import vanilla
from zoo import Training, Zoo, train
from zoo.tasks import memory


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    task = memory.Task(cue=10.0, delay=10.0, response=10.0, longest_delay=20.0)
    model = vanilla.Model(hidden=2, activation="linear")
    spec = Zoo("autonomous", task=task, model=model, training=Training(steps=1, batch=2), seeds=3)
    return train(spec, tmp_path_factory.mktemp("autonomous") / "zoo", quiet=True)


def planted(trained, monkeypatch, angle: float, size: float) -> Assayed:
    """Networks that turn by an angle, and grow or shrink by a factor, at every step."""
    (cohort,) = trained.zoo.cohorts
    turn = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    real = type(trained).variables

    def variables(self, members, **more):
        whole = real(self, members, **more)
        count = len(members)
        params = {
            **whole["params"],
            "recurrent": np.broadcast_to(turn, (count, 2, 2)),
            "input": {
                "kernel": np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2)),
                "bias": np.zeros((count, 2), np.float32),
            },
            "readout": {
                "kernel": np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2)),
                "bias": np.zeros((count, 2), np.float32),
            },
        }
        return {**whole, "params": params}

    monkeypatch.setattr(type(trained), "variables", variables)
    probe = next(iter(probes_of(trained).values()))
    return Assayed(trained, cohort, [member.id for member in cohort.members], "last", probe, {})


def test_outputs_that_turn_move_by_the_radius_over_root_two(trained, monkeypatch):
    period = 6  # steps of a trial of the delay of 10 ms, so that the window has one whole turn
    found = Assay().run(planted(trained, monkeypatch, 2 * np.pi / period, 1.0))
    # The cue is there for two steps: the state's length is that of e + e turned once.
    radius = abs(1 + np.exp(2j * np.pi / period))
    np.testing.assert_allclose(found["residual"], radius / np.sqrt(2), rtol=1e-4)
    assert (found["cycling"] == 1).all()


def test_outputs_that_rest_or_die_away_do_not_move(trained, monkeypatch):
    rest = Assay().run(planted(trained, monkeypatch, 0.0, 1.0))
    np.testing.assert_allclose(rest["residual"], 0, atol=1e-6)
    np.testing.assert_allclose(rest["size"], np.sqrt(2), rtol=1e-5)
    assert (rest["cycling"] == 0).all()
    assert (Assay().run(planted(trained, monkeypatch, 1.0, 0.5))["residual"] < 1e-4).all()


def test_outputs_that_grow_without_bound_are_told_as_not_finite(trained, monkeypatch):
    with np.errstate(all="ignore"):
        found = Assay(trials=40).run(planted(trained, monkeypatch, 0.0, 3.0))
    assert np.isnan(found["cycling"]).all()


def test_a_window_that_reaches_into_the_trial_is_refused(trained, monkeypatch):
    with pytest.raises(ValueError, match="window=2 must be at most 1"):
        Assay(trials=2, window=2.0).run(planted(trained, monkeypatch, 0.0, 1.0))
