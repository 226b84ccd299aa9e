"""The operations of a training step, of networks whose products can be counted by hand."""

from models import mlp, vanilla
from zoo import Training, Zoo
from zoo.tasks import digits, flipflop
from zoo.training.flops import step_flops


def flops(task, model):
    (cohort,) = Zoo("f", task=task, model=model, training=Training(steps=7, batch=8)).cohorts
    return step_flops(cohort)


def test_a_layered_network_multiplies_each_weight_once_forward_and_twice_backward():
    inputs, outputs = 64, 10
    first, second, readout = inputs * 16, 16 * 12, 12 * outputs
    forward = first + second + readout
    backward = first + 2 * second + 2 * readout  # the inputs need no gradient
    assert flops(digits.Task(), mlp.Model(layers=(16, 12))) == 2 * 8 * (forward + backward)


def test_a_recurrent_network_multiplies_its_weights_at_every_time_step():
    short, long = (flops(flipflop.Task(steps=steps), vanilla.Model(hidden=32)) for steps in (10, 20))
    assert long / short > 1.9
    recurrent = 2 * 8 * 20 * 32 * 32
    assert 3 * recurrent <= long <= 3 * recurrent * 1.5
