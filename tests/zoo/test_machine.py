"""What a machine has: memory, and a folder of the user's."""

from pathlib import Path

import psutil
import pytest

from zoo import machine


def test_the_cache_is_where_the_user_says_else_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine.cache_folder() == tmp_path / "model-zoo"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    home = tmp_path / "home" / ".cache" / "model-zoo"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert machine.cache_folder() == home
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert machine.cache_folder() == home


def test_the_size_of_memory_is_all_of_it_and_unknown_where_the_system_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert machine.memory_size() == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    monkeypatch.setattr(machine.os, "sysconf_names", {})
    assert machine.memory_size() is None


def test_what_compilers_are_asked_for_is_told_in_any_order_and_without_what_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in machine.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_b=1  --xla_force_host_platform_device_count=3 --xla_a=2 --xla_dump_to=here")
    assert machine.environment() == {"XLA_FLAGS": "--xla_a=2 --xla_b=1"}
    monkeypatch.setenv("XLA_FLAGS", "--xla_b=true --xla_a=2 --xla_b=false")
    assert machine.environment() == {"XLA_FLAGS": "--xla_a=2 --xla_b=false"}, "the last of two counts"
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    assert machine.environment() == {}
