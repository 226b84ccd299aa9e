"""The contract of models, as the text of `models` has it, over every file of the folder."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from models import Network, RecurrentNetwork
from tests.models.small_models import (
    DATA,
    FILES,
    GIVEN,
    INIT,
    INPUTS,
    NOISE,
    RECURRENT,
    assert_close,
    assert_equal,
    inputs_of,
    layers_of,
    make,
    one_by_one,
    perturbation,
    start,
    traced_fields,
    train,
    trained,
    two_values,
)


@pytest.mark.parametrize("file", FILES)
def test_outputs_and_representations(file):
    model = make(file)
    variables, x = start(model)
    run = jax.jit(model.apply)
    outputs, representations = run(variables, x)
    leading = x.shape[:2] if model.family == "recurrent" else x.shape[:1]
    assert outputs.shape == (*leading, GIVEN["outputs"])
    assert outputs.dtype == jnp.float32
    assert representations, "a model returns its representations"
    for layer, activity in representations.items():
        assert isinstance(layer, str)
        assert activity.shape[0] == x.shape[0]
        assert np.isfinite(activity).all()
    np.testing.assert_array_equal(outputs, run(variables, x)[0])
    _, in_training = jax.eval_shape(partial(train, model), variables, x)[0]
    assert list(in_training) == list(representations)


@pytest.mark.parametrize("file", FILES)
def test_fields(file):
    model = make(file)
    names = [f.name for f in dataclasses.fields(model)]
    assert "family" not in names
    assert "outputs" in names
    assert model.family in INPUTS
    assert model == make(file)
    assert hash(model) == hash(make(file))
    assert model != make(file, outputs=GIVEN["outputs"] + 1)
    assert isinstance(model, Network)
    assert isinstance(model, RecurrentNetwork) == (model.family == "recurrent")


@pytest.mark.parametrize("file", FILES)
def test_members_equal_lone_runs_and_floats_are_traced(file):
    model = make(file)
    x = inputs_of(model.family)
    floats = {name: jnp.asarray(two_values(field)) for name, field in traced_fields(model).items()}
    traces = 0

    @jax.jit
    def population(keys: Any, floats: Any) -> Any:
        nonlocal traces
        traces += 1
        return jax.vmap(member)(keys, floats)

    def member(key: Any, floats: Any) -> Any:
        variables = model.clone(**floats).init(key, x)
        # Residual branches and some readouts start at 0, where what lies before has no gradient yet.
        variables = {**variables, "params": jax.tree.map(lambda v: v + 0.01, variables["params"])}

        def loss(params: Any) -> Any:
            result = train(model, {**variables, "params": params}, x, **floats)
            return (result[0][0] ** 2).mean(), result

        return variables, jax.grad(loss, has_aux=True)(variables["params"])

    keys = jax.random.split(INIT, 2)
    together = jax.device_get(population(keys, floats))
    population(keys, jax.tree.map(lambda v: v * 0.95, floats))
    assert traces == 1
    lone = jax.jit(member)
    for i in range(2):
        alone = lone(keys[i], jax.tree.map(lambda v, i=i: v[i], floats))
        assert_close(jax.tree.map(lambda a, i=i: a[i], together), alone, 2e-5)
    gradients = jax.tree.leaves(together[1][0])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert any((gradient != 0).any() for gradient in gradients)


@pytest.mark.parametrize("file", FILES)
def test_a_mechanism_at_its_off_value_is_not_compiled_and_acts_in_training_only(file):
    model = make(file)
    variables, x = start(model)

    def program(model: Any) -> str:
        return str(jax.make_jaxpr(partial(train, model))(variables, x))

    without, plain = program(model), jax.jit(partial(train, model))(variables, x)
    evaluated = jax.jit(model.apply)(variables, x)
    for name, field in traced_fields(model).items():
        if "off" in field.metadata:
            acting = make(file, **{name: field.default + 0.5})
            with_it = program(acting)
            assert len(without) < len(with_it)
            assert without.count("random_bits") < with_it.count("random_bits") or "random_bits" not in with_it
            outputs_and_layers = jax.jit(partial(train, acting))(variables, x)[0]
            differences = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), outputs_and_layers, plain[0])
            assert max(jax.tree.leaves(differences)) > 1e-3
            assert_equal(jax.jit(acting.apply)(variables, x), evaluated)  # and has no stream to draw from


@pytest.mark.parametrize("file", FILES)
def test_the_same_seed_starts_alike_under_every_traced_field_up_to_scale_and_shift(file):
    model = make(file)
    variables, x = start(model)

    def assert_scaled_and_shifted(a: Any, b: Any) -> None:
        draws = np.stack([np.ravel(a), np.ones(np.size(a))], axis=1)
        nearest = draws @ np.linalg.lstsq(draws, np.ravel(b), rcond=None)[0]
        np.testing.assert_allclose(np.ravel(b), nearest, atol=1e-5)

    for name, field in traced_fields(model).items():
        other = jax.jit(make(file, **{name: float(two_values(field)[0])}).init)(INIT, x)
        jax.tree.map(assert_scaled_and_shifted, variables, other)


@pytest.mark.parametrize("file", FILES)
def test_constants_and_parameters_have_streams_of_their_own(file):
    model = make(file)
    x = inputs_of(model.family)

    @jax.jit
    def drawn(params: Any, constants: Any) -> Any:
        return model.init({"params": params, "constants": constants}, x)

    first = drawn(INIT, INIT)
    assert_equal(drawn(INIT, INIT), first)
    assert_equal(drawn(DATA, INIT).get("constants"), first.get("constants"))
    assert_equal(drawn(INIT, DATA)["params"], first["params"])


@pytest.mark.parametrize("file", FILES)
def test_a_pass_changes_no_constant_and_no_parameter(file):
    model = make(file)
    variables, x = start(model)
    renewed = jax.jit(partial(model.apply, train=True, mutable=True))(variables, x, rngs={"noise": NOISE})[1]
    for collection in variables:
        if collection != "batch_stats":
            assert_equal(renewed[collection], variables[collection])


@pytest.mark.parametrize("file", FILES)
def test_it_computes_in_the_precision_of_its_variables_and_inputs(file):
    with jax.enable_x64(True):
        model = make(file)
        variables, x = trained(model)
        floats = {name: float(two_values(field)[0]) for name, field in traced_fields(model).items()}
        (outputs, _), _ = jax.eval_shape(partial(train, model), variables, x, **floats)
        assert outputs.dtype == "float64"


@pytest.mark.parametrize("file", FILES)
def test_scale_1_and_shift_0_change_nothing(file):
    model = make(file)
    variables, x = start(model)
    run = jax.jit(model.apply)
    outputs, representations = run(variables, x)
    by = perturbation(layers_of(model, representations), representations)
    assert_close(run(variables, x, perturb=by), (outputs, representations), 2e-6)


@pytest.mark.parametrize("file", FILES)
def test_a_lesioned_unit_is_silent_and_a_wrong_layer_or_size_is_refused(file):
    model = make(file)
    variables, x = start(model)
    run = jax.jit(model.apply)
    _, representations = run(variables, x)
    layers = layers_of(model, representations)
    for layer in layers:
        by = perturbation([layer], representations, unit=0, scale=0.0)
        activity = np.asarray(run(variables, x, perturb=by)[1][layer])
        assert (activity[..., 0] == 0).all()
        assert (activity[..., 1:] != 0).any() or activity.shape[-1] == 1
    scale = shift = jnp.ones(representations[layers[0]].shape[-1])
    with pytest.raises(ValueError, match="perturb names the layer 'rat', but must name one of ") as refusal:
        jax.eval_shape(partial(model.apply, perturb={"rat": (scale, shift)}), variables, x)
    assert all(layer in str(refusal.value) for layer in layers)
    with pytest.raises(ValueError, match=f"perturb has an array of shape .* for {layers[0]}, but it must be"):
        jax.eval_shape(partial(model.apply, perturb={layers[0]: (scale, shift[:-1])}), variables, x)


@pytest.mark.parametrize("file", [file for file in FILES if file not in RECURRENT])
def test_a_perturbed_layer_is_scaled_and_shifted_before_the_next_reads_it(file):
    model = make(file)
    variables, x = start(model)
    variables = {**variables, "params": jax.tree.map(lambda v: v + 0.01, variables["params"])}
    run = jax.jit(model.apply)
    outputs, representations = run(variables, x)
    for layer in layers_of(model, representations):
        scale, shift = jax.random.normal(NOISE, (2, representations[layer].shape[-1]))
        perturbed_outputs, perturbed = run(variables, x, perturb={layer: (scale, shift)})
        ones = (1,) * (representations[layer].ndim - 1)
        expected = scale.reshape(*ones, -1) * representations[layer] + shift.reshape(*ones, -1)
        np.testing.assert_allclose(perturbed[layer], expected, atol=1e-6)
        assert jnp.abs(perturbed_outputs - outputs).max() > 1e-4


@pytest.mark.parametrize("file", RECURRENT)
def test_rates_perturbed_step_by_step_are_those_of_a_perturbed_pass(file):
    model = make(file)
    variables, x = start(model)
    units = jax.eval_shape(model.apply, variables, x)[1]["rate"].shape[-1]
    by = {"rate": tuple(jax.random.normal(NOISE, (2, units)))}
    outputs, representations = jax.jit(model.apply)(variables, x, perturb=by)
    stepped = jax.jit(partial(one_by_one, model))(variables, x, perturb=by)
    assert_close(stepped, (outputs, representations["rate"]), 1e-5)
    state = model.apply(variables, len(x), method="initial_state")
    with pytest.raises(ValueError, match="perturb names the layer 'rat', but must name one of rate"):
        jax.eval_shape(partial(model.apply, method="step"), variables, state, x[:, 0], None, {"rat": by["rate"]})


@pytest.mark.parametrize("file", RECURRENT)
def test_what_a_state_shows_is_what_the_step_to_it_gave_and_may_be_perturbed_in_every_trial(file):
    model = make(file)
    variables, x = start(model)
    state = model.apply(variables, len(x), method="initial_state")
    units = model.apply(variables, state, x[:, 0], method="step")[1].shape[-1]
    by = {"rate": tuple(jax.random.normal(NOISE, (2, len(x), units)))}
    for perturb in (None, by):
        following, rate = model.apply(variables, state, x[:, 0], None, perturb, method="step")
        _, outputs = model.apply(variables, state, x[:, 0], None, perturb, method="respond")
        assert_close(model.apply(variables, following, perturb, method="outputs_of"), (outputs, rate), 1e-6)
    of_one = {"rate": tuple(each[1] for each in by["rate"])}
    alone = model.apply(variables, jax.tree.map(lambda a: a[1:2], state), x[1:2, 0], None, of_one, method="step")
    together = model.apply(variables, state, x[:, 0], None, by, method="step")
    assert_close(jax.tree.map(lambda a: a[1:2], together), alone, 1e-5)


@pytest.mark.parametrize("file", RECURRENT)
def test_the_rate_is_the_first_representation(file):
    model = make(file)
    variables, x = start(model)
    outputs, representations = model.apply(variables, x)
    assert next(iter(representations)) == "rate"
    for activity in representations.values():
        assert activity.shape[:2] == outputs.shape[:2]


@pytest.mark.parametrize("file", RECURRENT)
def test_step_is_the_network_that_was_trained(file):
    model = make(file)
    variables, x = start(model)
    outputs, representations = jax.jit(model.apply)(variables, x)
    assert_close(jax.jit(partial(one_by_one, model))(variables, x), (outputs, representations["rate"]))


@pytest.mark.parametrize("file", [file for file in RECURRENT if "noise" in traced_fields(make(file))])
def test_step_with_noise_and_perturbed_rates_is_a_pass_in_training(file):
    model = make(file, noise=0.3)
    variables, x = start(model)
    units = jax.eval_shape(model.apply, variables, x)[1]["rate"].shape[-1]
    key = model.apply(variables, method=lambda m: m.make_rng("noise"), rngs={"noise": NOISE})
    noise = jax.random.normal(key, (x.shape[1], x.shape[0], units))
    clamp = {"rate": (jnp.arange(units) % 2, 0.3 * (jnp.arange(units) % 2 == 0))}

    @jax.jit
    def both(variables: Any, x: Any) -> Any:
        outputs, shown = model.apply(variables, x, train=True, rngs={"noise": NOISE}, perturb=clamp)
        return (outputs, shown["rate"]), one_by_one(model, variables, x, noise, clamp)

    whole, stepped = both(variables, x)
    assert_close(stepped, whole, 2e-6)
    assert (whole[1][..., ::2] == 0.3).all()
    assert jnp.abs(whole[1] - one_by_one(model, variables, x, perturb=clamp)[1]).max() > 0.05


@pytest.mark.parametrize("file", FILES)
def test_the_error_of_a_product_goes_back_through_its_backward_weight_and_nothing_else_changes(file):
    """Of every weight: outputs stay; what the loss sends below the product changes, unless it comes back through the
    weight itself, as it acts."""
    model = make(file)
    with jax.enable_x64(True):
        variables, x = trained(model)
        weights = {path: w for path, w in flatten_dict(variables["params"]).items() if w.ndim > 1}
        assert weights

        @jax.jit
        def results(backward: Any, x: Any) -> Any:
            def loss(params: Any, x: Any) -> Any:
                given = {**variables, "params": params, **({"backward": unflatten_dict(backward)} if backward else {})}
                outputs, _ = model.apply(given, x)
                return jnp.sin(outputs).sum(), outputs

            gradients, outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(variables["params"], x)
            return outputs, flatten_dict(gradients[0]), gradients[1]

        outputs, plain, to_input = results({}, x)
        acting = {
            path: model.apply(variables, method="weight") if path == ("recurrent",) and hasattr(model, "weight") else w
            for path, w in weights.items()
        }
        assert_close(results(acting, x), (outputs, plain, to_input), 1e-9)
        for path, w in weights.items():
            others = {other: acting[other] for other in weights if other != path}
            same, gradients, input = results({**others, path: jnp.zeros_like(w)}, x)
            assert_close(same, outputs, 1e-12)
            changed = [other for other in plain if jnp.abs(gradients[other] - plain[other]).max() > 1e-6]
            assert changed or jnp.abs(input - to_input).max() > 1e-6, f"{path} is in no product that takes it"
            assert path not in changed or model.family == "recurrent", "its own gradient is of the same error and input"


@pytest.mark.parametrize("file", RECURRENT)
def test_every_parameter_and_the_input_have_the_gradient_of_a_plain_scan_of_step(file):
    with jax.enable_x64(True):
        model = make(file)
        variables, x = trained(model)

        def whole(variables: Any, x: Any) -> Any:
            outputs, representations = model.apply(variables, x)
            return outputs, representations["rate"]

        def gradients(run: Any) -> Any:
            def loss(params: Any, x: Any) -> Any:
                outputs, rates = run({**variables, "params": params}, x)
                return jnp.sin(outputs).sum() + (rates**3).sum()

            return jax.jit(jax.grad(loss, argnums=(0, 1)))(variables["params"], x)

        assert_close(gradients(whole), gradients(partial(one_by_one, model)), 1e-11)
