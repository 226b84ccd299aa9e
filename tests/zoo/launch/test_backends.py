"""What runs shares somewhere else: its options are checked, and what went wrong there is one sentence here."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.launch.backends import BACKENDS, Slurm


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Slurm, list[str]]:
    """Processes of this machine in SLURM's place, and what was said of that."""
    pytest.importorskip("submitit")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    return Slurm({}, said.append), said


def ended(backend: Any, function: Any, *args: Any) -> Any:
    """A job that has ended."""
    job = backend.submit(function, *args)
    job.wait()
    assert backend.ended(job)
    return job


def test_where_there_is_no_slurm_jobs_are_processes_of_this_machine_and_that_is_said(slurm: Any) -> None:
    backend, said = slurm
    assert backend.at_once == os.cpu_count()
    assert said == [f"There is no SLURM here: the shares run as processes of this machine, {os.cpu_count()} at a time."]
    assert backend.result(ended(backend, os.path.basename, "a/b")) == "b"


def test_an_error_of_a_job_is_its_last_line(slurm: Any) -> None:
    backend, _ = slurm
    with pytest.raises(RuntimeError, match=r"^ValueError: invalid literal for int\(\) with base 10: 'x'$"):
        backend.result(ended(backend, int, "x"))


def test_an_option_that_a_backend_does_not_know_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"--engine does not suit SLURM: .*nonsense"):
        Slurm({"nonsense": 1}, print)


@pytest.mark.parametrize(("name", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_package_that_is_not_installed_is_named_with_the_way_to_install_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"--on {name} needs the package {package}: pip install -e '\.\[{name}\]'\."):
        BACKENDS[name]({}, print)
