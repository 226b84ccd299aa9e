"""Compiled programs: which devices share one compiler."""

from pathlib import Path
from typing import Any

import jax
import pytest

from tests.zoo.devices.fakes import FakeDevice


@pytest.mark.parametrize(("platform", "together"), [("gpu", True), ("tpu", False), ("cpu", False)])
def test_gpus_wait_for_the_first_to_compile_where_programs_can_be_kept(
    platform: str, together: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    from zoo.devices.compilation import compiler_of

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
