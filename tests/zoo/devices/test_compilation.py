"""Compiled programs: which devices share one compiler, and which programs must run alone."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from tests.zoo.devices.fakes import FakeDevice
from zoo.devices.compilation import compiler_of, solves


@pytest.mark.parametrize(("platform", "together"), [("gpu", True), ("tpu", False), ("cpu", False)])
def test_gpus_wait_for_the_first_to_compile_where_programs_can_be_kept(
    platform: str, together: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    config: Any = jax.config
    kept = config.jax_compilation_cache_dir
    a, b = FakeDevice(0, platform), FakeDevice(1, platform)
    assert (compiler_of(a) == compiler_of(b)) == together
    (tmp_path / "file").write_text("")
    config.update("jax_compilation_cache_dir", str(tmp_path / "file" / "below"))
    try:
        assert compiler_of(a) != compiler_of(b)
    finally:
        config.update("jax_compilation_cache_dir", kept)


def test_programs_that_wait_for_threads_of_a_cpu_are_told_from_others() -> None:
    def looped(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 3, lambda i, y: jax.lax.cond(i > 1, jnp.linalg.inv, jnp.tanh, y), x)

    assert solves(jax.make_jaxpr(jax.jit(looped))(jnp.eye(3)).jaxpr)
    assert not solves(jax.make_jaxpr(lambda x: jax.lax.map(jnp.tanh, x @ x))(jnp.eye(3)).jaxpr)
