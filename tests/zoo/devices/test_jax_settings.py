"""Whatever a shell has set, networks are computed with the settings of JAX that they are trained with elsewhere."""

import os
import subprocess
import sys

import jax
import pytest

from zoo.devices.jax_settings import SETTINGS, settle


def test_the_settings_are_those_that_jax_has_where_nobody_sets_any() -> None:
    """So that they change no bit of what is trained in a plain shell."""
    program = f"import jax\nprint([n for n, v in {SETTINGS!r}.items() if getattr(jax.config, n, v) != v])"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    printed = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


def test_what_a_shell_has_set_is_set_back_before_anything_is_computed() -> None:
    others = {
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_ENABLE_X64": "1",
        "JAX_DEBUG_NANS": "1",
        "JAX_DISABLE_JIT": "1",
        "JAX_RANDOM_SEED_OFFSET": "3",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_TRANSFER_GUARD": "disallow",
    }
    program = (
        "import jax\n"
        "from zoo.devices import startup\n"
        "from zoo.devices.jax_settings import SETTINGS\n"
        "startup.start()\n"
        "print([n for n, v in SETTINGS.items() if getattr(jax.config, n, v) != v])\n"
        "print(jax.random.normal(jax.random.key(1), 2).tolist())\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    drawn = [
        subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stdout
        for env in (plain, plain | others)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("[]\n")


def test_what_the_program_itself_has_chosen_is_refused_in_one_sentence() -> None:
    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match=r"jax_enable_x64 is True in this program, .* computed with False: jax.config"),
    ):
        settle()
