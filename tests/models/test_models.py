"""The contract of models, over every file of the folder, and what is promised of single architectures."""

import dataclasses
import importlib
import typing
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import models
from models import _maps, _recurrence, cnn, gru, mlp, resnet, vanilla

FILES = sorted(path.stem for path in Path(models.__file__).parent.glob("*.py") if not path.stem.startswith("_"))
# Small sizes; a new file is tested with its defaults until it is named here.
SMALL = {
    "cnn": dict(channels=(3, 4), dense=(6,), normalization="batch"),
    "mlp": dict(layers=(6, 5)),
    "resnet": dict(channels=(3, 4), blocks=1),
    "vanilla": dict(hidden=7, continuous=True, dt=20.0),
}
INPUTS = {"recurrent": (4, 6, 3), "feedforward": (4, 5, 3), "convolutional": (4, 9, 7, 2)}
OUTPUTS = 2
INIT, NOISE, DATA = jax.random.key(0), jax.random.key(1), jax.random.key(2)


def make(file, **fields):
    module = importlib.import_module(f"models.{file}")
    small = SMALL.get(file, dict(hidden=7) if module.Model.family == "recurrent" else {})
    return module.Model(**{"outputs": OUTPUTS, **small, **fields})


@cache
def inputs_of(family):
    return jax.random.normal(DATA, INPUTS[family], jnp.float32)


@cache
def start(model):
    """Its initial variables and some inputs."""
    x = inputs_of(model.family)
    return jax.jit(model.init)(INIT, x), x


def traced_fields(model):
    hints = typing.get_type_hints(type(model), include_extras=True)
    return [f for f in dataclasses.fields(model) if hints.get(f.name) is float and "given" not in f.metadata]


def train(model, variables, inputs, **floats):
    """Outputs, representations and new batch statistics of a training pass under other floats."""
    model = model.clone(**floats)
    return model.apply(variables, inputs, train=True, rngs={"noise": NOISE}, mutable=["batch_stats"])


def assert_close(a, b, atol=1e-6):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=atol, atol=atol), a, b)


def recurrent_files():
    return [file for file in FILES if make(file).family == "recurrent"]


@pytest.mark.parametrize("file", FILES)
def test_outputs_and_representations(file):
    model = make(file)
    variables, x = start(model)
    run = jax.jit(model.apply)
    outputs, representations = run(variables, x)
    leading = x.shape[:2] if model.family == "recurrent" else x.shape[:1]
    assert outputs.shape == (*leading, OUTPUTS)
    assert outputs.dtype == jnp.float32
    assert representations, "a model returns its representations"
    for layer, activity in representations.items():
        assert isinstance(layer, str)
        assert activity.shape[0] == x.shape[0]
        assert np.isfinite(activity).all()
    np.testing.assert_array_equal(outputs, run(variables, x)[0])
    _, trained = jax.eval_shape(partial(train, model), variables, x)[0]
    assert list(trained) == list(representations)
    assert set(variables) <= {"params", "batch_stats"}
    # A checkpoint joins the names of a path by dots.
    paths = jax.tree_util.tree_flatten_with_path(variables)[0]
    assert not [path for path, _ in paths if any("." in key.key for key in path)]


@pytest.mark.parametrize("file", FILES)
def test_fields(file):
    model = make(file)
    assert model.family in INPUTS
    names = [f.name for f in dataclasses.fields(model)]
    assert "family" not in names
    assert "outputs" in names
    assert model == make(file)
    assert hash(model) == hash(make(file))
    assert model != make(file, outputs=OUTPUTS + 1)


@pytest.mark.parametrize("file", FILES)
def test_members_equal_lone_runs_and_floats_are_traced(file):
    model = make(file)
    x = inputs_of(model.family)
    fields = [f.name for f in traced_fields(model)]
    floats = {name: jnp.array([0.3, 0.6]) * (100.0 if name == "tau" else 1.0) for name in fields}
    traces = 0

    @jax.jit
    def population(keys, floats):
        nonlocal traces
        traces += 1
        return jax.vmap(member)(keys, floats)

    def member(key, floats):
        variables = model.clone(**floats).init(key, x)
        # Residual branches start at 0, where what lies before has no gradient yet.
        variables = jax.tree.map(lambda v: v + 0.01, variables)

        def loss(params):
            result = train(model, {**variables, "params": params}, x, **floats)
            return (result[0][0] ** 2).mean(), result

        return variables, jax.grad(loss, has_aux=True)(variables["params"])

    keys = jax.random.split(INIT, 2)
    together = jax.device_get(population(keys, floats))
    population(keys, jax.tree.map(lambda v: v / 2, floats))
    assert traces == 1
    lone = jax.jit(member)
    for i in range(2):
        alone = lone(keys[i], jax.tree.map(lambda v, i=i: v[i], floats))
        assert_close(jax.tree.map(lambda a, i=i: a[i], together), alone, 2e-5)
    for path, gradient in jax.tree_util.tree_leaves_with_path(together[1][0]):
        assert np.isfinite(gradient).all(), path
        assert (gradient != 0).any() or "bias" in str(path), path


@pytest.mark.parametrize("file", FILES)
def test_a_mechanism_at_its_off_value_is_not_compiled(file):
    model = make(file)
    variables, x = start(model)
    mechanisms = [f.name for f in traced_fields(model) if "off" in f.metadata]
    assert mechanisms

    def program(**fields):
        return str(jax.make_jaxpr(partial(train, make(file, **fields)))(variables, x))

    assert "random_bits" not in program()
    train_off = jax.jit(partial(train, model))(variables, x)[0][0]
    for name in mechanisms:
        assert "random_bits" in program(**{name: 0.5})
        noisy = make(file, **{name: 0.5})
        assert "random_bits" not in str(jax.make_jaxpr(noisy.apply)(variables, x)), "evaluation is deterministic"
        changed = jnp.abs(jax.jit(partial(train, noisy))(variables, x)[0][0] - train_off).max()
        assert changed > 1e-3


@pytest.mark.parametrize("file", FILES)
def test_the_same_seed_starts_alike_under_every_gain(file):
    one, two = (start(make(file, gain=gain))[0] for gain in (1.0, 2.0))
    scaled = 0
    for a, b in zip(jax.tree.leaves(jax.device_get(one)), jax.tree.leaves(jax.device_get(two))):
        changed = bool((a != b).any())
        scaled += changed
        np.testing.assert_allclose(b, 2 * a if changed else a, rtol=1e-6)
    assert scaled


@pytest.mark.parametrize("file", FILES)
def test_float64(file):
    with jax.enable_x64(True):
        model = make(file)
        x = jnp.asarray(inputs_of(model.family), "float64")
        variables = jax.tree.map(lambda a: a.astype("float64"), start(model)[0])
        floats = {f.name: 0.5 for f in traced_fields(model)}
        (outputs, _), _ = jax.eval_shape(partial(train, model), variables, x, **floats)
        assert outputs.dtype == "float64"


@pytest.mark.parametrize("file", recurrent_files())
def test_step_is_the_network_that_was_trained(file):
    model = make(file)
    variables, x = start(model)
    _, representations = model.apply(variables, x)
    assert list(representations) == ["rate"]
    state, step = model.initial_state(len(x)), jax.jit(partial(model.apply, method="step"))
    for t in range(x.shape[1]):
        state, rate = step(variables, state, x[:, t])
        np.testing.assert_allclose(rate, representations["rate"][:, t], atol=1e-6)


def plain(cell, rate, weight, bias, floats, state, drive, noise=None, *, inside=()):
    """What `unroll` must equal."""

    floats = lax.stop_gradient(floats)  # hyperparameters: nobody trains them

    def body(state, now):
        state = _recurrence._advance(cell, rate, weight, bias, floats, state, *now)
        return state, rate(state)

    return lax.scan(body, state, (_recurrence.split(drive, weight.shape[0]), noise))[1]


@pytest.mark.parametrize("file", recurrent_files())
def test_gradient_equals_that_of_a_plain_scan(file, monkeypatch):
    with jax.enable_x64(True):
        model = make(file)
        x = jnp.asarray(inputs_of("recurrent"), "float64")
        params = jax.tree.map(lambda a: a.astype("float64"), start(model)[0])

        def gradients():
            def loss(params, x):
                outputs, representations = model.apply(params, x)
                return jnp.sin(outputs).sum() + (representations["rate"] ** 3).sum()

            return jax.jit(jax.grad(loss, argnums=(0, 1)))(params, x)

        deferred = gradients()
        monkeypatch.setattr(importlib.import_module(f"models.{file}"), "unroll", plain)
        assert_close(deferred, gradients(), 1e-12)


UNROLLED = {
    "discrete": (vanilla.Model(hidden=3), 1, ()),
    "rate": (vanilla.Model(hidden=3, continuous=True, dt=20.0), 1, ()),
    "rectified": (vanilla.Model(hidden=3, continuous=True, dt=20.0, leak="rectified"), 1, ()),
    "current": (vanilla.Model(hidden=3, continuous=True, dt=20.0, leak="current", activation="softplus"), 1, ()),
    "gru": (gru.Model(hidden=3), 3, (2,)),
}


@pytest.mark.parametrize("name", UNROLLED)
def test_every_argument_of_unroll_has_its_gradient(name):
    model, gates, inside = UNROLLED[name]
    cell, rate = model._cell()
    with jax.enable_x64(True):
        shapes = [(3, 3 * gates), (3 * gates,), (), (2, 3), (5, 2, 3 * gates), (5, 2, 3)]
        weight, bias, alpha, *rest = (jax.random.normal(k, s) for k, s in zip(jax.random.split(DATA, 6), shapes))
        arguments = (weight, bias, {"alpha": jax.nn.sigmoid(alpha)}, *rest)

        def gradients(run):
            def loss(*arguments):
                return (run(cell, rate, *arguments, inside=inside) ** 3).sum()

            return jax.jit(jax.grad(loss, argnums=tuple(range(6))))(*arguments)

        assert_close(gradients(_recurrence.unroll), gradients(plain), 1e-12)


def test_leak_forms_agree_at_alpha_1_and_differ_below():
    discrete = vanilla.Model(hidden=7)
    variables, x = start(discrete)
    expected = discrete.apply(variables, x)[1]["rate"]
    rates = {}
    for leak in ("rate", "rectified", "current"):
        for tau in (10.0, 20.0):  # at or below dt
            model = vanilla.Model(hidden=7, continuous=True, leak=leak, tau=tau, dt=20.0)
            np.testing.assert_allclose(model.apply(variables, x)[1]["rate"], expected, atol=1e-6)
        rates[leak] = model.clone(tau=100.0).apply(variables, x)[1]["rate"]
    for a, b in [("rate", "rectified"), ("rate", "current"), ("rectified", "current")]:
        assert jnp.abs(rates[a] - rates[b]).max() > 0.01


@pytest.mark.parametrize("leak", ["rate", "rectified", "current"])
@pytest.mark.parametrize("noise_form", ["state", "inside", "raw"])
def test_stationary_variance_of_a_linear_unit(leak, noise_form):
    """r <- (1 - a) r + s xi has variance s^2 / (1 - (1 - a)^2): 2 sigma^2 / (2 - a) for the scaled forms."""
    a, sigma = 0.1, 0.3
    model = vanilla.Model(
        hidden=64, activation="linear", continuous=True, leak=leak, tau=100.0, dt=100.0 * a, gain=0.0,
        noise=sigma, noise_form=noise_form,
    )  # fmt: skip
    x = jnp.zeros((64, 150, 1))
    _, representations = model.apply(jax.jit(model.init)(INIT, x), x, train=True, rngs={"noise": NOISE})
    s = sigma if noise_form == "raw" else sigma * (2 * a) ** 0.5
    variance = float(representations["rate"][:, 80:].var())
    assert variance == pytest.approx(s**2 / (1 - (1 - a) ** 2), rel=0.03)


@pytest.mark.parametrize(("initial", "radius"), [("orthogonal", 1.5), ("identity", 1.5), ("normal", None)])
def test_initial_recurrent_weights(initial, radius):
    weight = vanilla.Model(hidden=200, gain=1.5, initial_weights=initial).init(INIT, jnp.zeros((1, 2, 1)))
    weight = np.asarray(weight["params"]["recurrent"])
    if radius is None:
        assert weight.std() * 200**0.5 == pytest.approx(1.5, rel=0.03)
    else:
        np.testing.assert_allclose(weight @ weight.T, radius**2 * np.eye(200), atol=1e-5)


def outputs_and_gradients(model, variables, x):
    def loss(params, x):
        (outputs, representations), _ = train(model, {**variables, "params": params}, x)
        return (outputs**2).sum(), (outputs, representations)

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(variables["params"], x)


@pytest.mark.parametrize(
    "fields",
    [
        dict(kernel=1, stride=2, pool=1),
        dict(kernel=2, pooling="mean"),
        dict(kernel=3, normalization="batch"),
        dict(kernel=3, normalization="divisive", activation="linear"),
        dict(kernel=4, normalization="layer"),
        dict(kernel=5, stride=2),
        dict(kernel=7, stride=3, pool=1),
    ],
    ids=str,
)
def test_convolution_forms_agree(fields):
    x = inputs_of("convolutional")
    model = cnn.Model(channels=(3,), dense=(5,), **fields)
    variables, _ = start(model)
    native, columns = (outputs_and_gradients(model.clone(conv_form=f), variables, x) for f in ("native", "columns"))
    assert_close(native, columns, 1e-5)


def test_convolution_forms_agree_in_a_residual_network():
    x = jax.random.normal(DATA, (4, 9, 8, 2))
    model = resnet.Model(channels=(3, 5), blocks=2)
    variables = jax.tree.map(lambda v: v + 0.1, jax.jit(model.init)(INIT, x))
    native, columns = (outputs_and_gradients(model.clone(conv_form=f), variables, x) for f in ("native", "columns"))
    assert_close(native, columns, 2e-5)


def test_batch_statistics():
    model = make("cnn")
    x = 3.0 * inputs_of("convolutional") + 1.0
    variables = jax.jit(model.init)(INIT, x)
    _, updated = jax.jit(partial(train, model))(variables, x)
    map1 = _maps.convolve(_maps.to_maps(x), variables["params"]["conv1"]["kernel"], "columns")
    expected = {"mean": 0.1 * map1.mean((1, 2, 3)), "var": 0.9 + 0.1 * map1.var((1, 2, 3))}
    assert_close(dict(updated["batch_stats"]["norm1"]), expected, 1e-5)


def test_every_layer_can_have_its_own_kernel_stride_pooling_activation_and_normalization():
    model = cnn.Model(
        channels=(3, 4, 5), kernel=(3, 1, 2), stride=(1, 2, 1), pool=(1, 1, 2), pooling=("max", "max", "mean"),
        activation=("relu", "linear", "tanh"), normalization=("none", "layer", "divisive"), dense=(),
    )  # fmt: skip
    x = jax.random.normal(DATA, (4, 8, 6, 2))
    variables, representations = jax.jit(model.init)(INIT, x), None
    _, representations = model.apply(variables, x)
    assert {k: v.shape[1:] for k, v in representations.items() if not k.endswith(".pre")} == {
        "conv1": (8, 6, 3), "conv2": (4, 3, 4), "conv3": (4, 3, 5),
    }  # fmt: skip
    assert set(variables["params"]) == {"conv1", "conv2", "conv3", "norm2", "norm3", "readout"}
    np.testing.assert_array_equal(representations["conv1"], jax.nn.relu(representations["conv1.pre"]))
    np.testing.assert_array_equal(representations["conv2"], representations["conv2.pre"])
    np.testing.assert_allclose(representations["conv3"], jnp.tanh(representations["conv3.pre"]), atol=1e-6)


def test_divisive_normalization_ignores_contrast_and_saturates():
    """Carandini & Heeger 2012: R = gamma I / (sum I + sigma); with sigma -> 0 it does not change under I -> c I."""
    x = jax.random.normal(DATA, (3, 5, 5, 2))

    def response(contrast, sigma):
        model = cnn.Model(channels=(4,), dense=(), normalization="divisive", activation="linear", semisaturation=sigma)
        return model.apply(model.init(INIT, x), contrast * x)[1]["conv1"]

    np.testing.assert_allclose(response(1.0, 1e-9), response(7.0, 1e-9), atol=1e-3)
    low, middle, high, higher = (float(response(c, 1.0).mean()) for c in (0.01, 0.1, 100.0, 1000.0))
    assert middle / low == pytest.approx(10.0, rel=0.2)  # in proportion to a weak input
    assert higher / high == pytest.approx(1.0, abs=0.02)  # and no more with a strong one
    gradient = jax.grad(lambda c: response(c, 1.0).sum())(0.0)
    assert np.isfinite(gradient)


def test_a_residual_network_starts_as_its_shortcuts():
    for normalization in ("batch", "layer", "none"):
        model = resnet.Model(channels=(4,), blocks=3, normalization=normalization, activation="relu")
        variables, x = start(model)
        _, representations = jax.jit(partial(train, model))(variables, x)[0]
        for block in (1, 2, 3):
            np.testing.assert_array_equal(representations[f"stage1_block{block}"], representations["stem"])


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = jnp.ones((200, 30))
    model = mlp.Model(layers=(100,), activation="linear", dropout=0.25)
    variables = model.init(INIT, x)
    rest = jax.tree.map(jnp.ones_like, variables)
    outputs, _ = model.apply(rest, x, train=True, rngs={"noise": NOISE})
    share = (np.asarray(outputs) - 1.0) / 31.0 * 0.75 / 100.0  # kept units: each gives 31 / .75
    assert share.mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (cnn.Model(kernel=5), (1, 8, 8, 1), "kernel is 5, but the map of conv2 is only 4 x 4"),
        (cnn.Model(kernel=1, channels=(2,), pool=9), (1, 8, 8, 1), "pool is 9, which leaves nothing of conv1's 8 x 8"),
        (cnn.Model(), (1, 8, 8), r"need \(trial, height, width, channel\)"),
        (cnn.Model(kernel=(3, 5, 3)), (1, 8, 8, 1), r"kernel has 3 values, \(3, 5, 3\), for 2 convolutions"),
        (resnet.Model(channels=(8, 4)), (1, 8, 8, 1), "A stage has 4 channels after one of 8"),
        (resnet.Model(channels=()), (1, 8, 8, 1), r"channels is \(\); a residual network needs at least one stage"),
        (resnet.Model(), (1, 2, 8, 1), "the map of stem is only 2 x 8"),
        (resnet.Model(), (1, 7, 8, 1), r"the map of stage3_block1_conv2 is only 2 x 2"),
        (vanilla.Model(), (1, 8), r"needs \(trial, time, unit\)"),
        (vanilla.Model(continuous=True), (1, 8, 2), "dt is 0.0 ms"),
        (mlp.Model(activation="rleu"), (1, 8), "activation is 'rleu', but must be one of tanh, relu"),
    ],
)
def test_bad_input_gets_one_sentence(model, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, INIT, jnp.zeros(shape))
