"""Where shares of a zoo can be sent: a SLURM cluster, or a Ray cluster. Each runs a function somewhere else.

Both send code and arguments by pickle, to machines and from folders that are the user's own.
"""

import os
from collections.abc import Callable
from typing import Any, Protocol

from zoo.machine import cache_folder
from zoo.wording import first_line


class Backend(Protocol):
    """What runs functions somewhere else. A job is whatever the backend calls what it has started.

    Attributes:
      at_once: how many jobs there may be; None where the backend knows that itself.
    """

    at_once: int | None

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Start a function somewhere; the job."""

    def ended(self, job: Any) -> bool:
        """Whether a job has ended."""
        ...

    def result(self, job: Any) -> Any:
        """What the function of a job that has ended gave; a RuntimeError with one sentence where it failed."""

    def cancel(self, job: Any) -> None:
        """Ask for the end of a job."""


class Slurm:
    """Jobs of SLURM, through submitit; where there is no SLURM, processes of this machine. A `Backend`.

    Args:
      options: of `submitit.AutoExecutor.update_parameters`: gpus_per_node, cpus_per_task, timeout_min,
        slurm_partition ...
      say: takes a sentence.
    """

    def __init__(self, options: dict[str, Any], say: Callable[[str], object]):
        submitit = _imported("submitit", "slurm")
        # Results come back as pickles: they lie with the user, not in the zoo directory, which others may write.
        folder = cache_folder() / "jobs"
        self._executor = submitit.AutoExecutor(folder=folder)
        try:
            self._executor.update_parameters(**{"name": "zoo", "timeout_min": 24 * 60, **options})
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"--engine does not suit SLURM: {_all_of(error)}") from None
        self.at_once: int | None = None
        if self._executor.cluster == "local":
            self.at_once = os.cpu_count() or 1
            say(f"There is no SLURM here: the shares run as processes of this machine, {self.at_once} at a time.")

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """See `Backend`."""
        return self._executor.submit(function, *args)

    def ended(self, job: Any) -> bool:
        """See `Backend`."""
        return job.done()

    def result(self, job: Any) -> Any:
        """See `Backend`; the sentence is the last line of what went wrong."""
        error = job.exception()
        if error is None:
            return job.result()
        if type(error).__name__ == "UncompletedJobError":
            raise RuntimeError("it was killed, or its machine is gone")
        trace = str(error).partition("You can check full logs")[0]  # submitit says last where its logs lie
        lines = [line for line in trace.splitlines() if line.strip(" -")]
        raise RuntimeError(lines[-1].strip()[:300] if lines else type(error).__name__)

    def cancel(self, job: Any) -> None:
        """See `Backend`."""
        job.cancel(check=False)


class Ray:
    """Tasks of Ray, which starts those anew whose worker has died. A `Backend`.

    They run on the cluster at RAY_ADDRESS or, where that is not set, on a Ray of this machine only.

    Args:
      options: of `ray.remote`: num_gpus, num_cpus, resources, max_retries ...
      say: takes a sentence.
    """

    def __init__(self, options: dict[str, Any], say: Callable[[str], object]):
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray = _imported("ray", "ray")
        if not self._ray.is_initialized():
            is_known = bool(os.environ.get("RAY_ADDRESS"))
            place = {} if is_known else {"address": "local", "_node_ip_address": "127.0.0.1"}
            self._ray.init(log_to_driver=False, include_dashboard=False, logging_level="error", **place)
        self.at_once: int | None = None
        self._options = {"max_retries": 3, **options}
        try:
            self._ray.remote(**self._options)(lambda: None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"--engine does not suit Ray: {_all_of(error)}") from None

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """See `Backend`."""
        return self._ray.remote(**self._options)(function).remote(*args)

    def ended(self, job: Any) -> bool:
        """See `Backend`."""
        return bool(self._ray.wait([job], timeout=0)[0])

    def result(self, job: Any) -> Any:
        """See `Backend`; the sentence is the last line of what went wrong."""
        try:
            return self._ray.get(job)
        except self._ray.exceptions.RayError as error:
            cause = error.cause if isinstance(error, self._ray.exceptions.RayTaskError) else error
            raise RuntimeError(first_line(cause)) from None

    def cancel(self, job: Any) -> None:
        """See `Backend`."""
        self._ray.cancel(job)


BACKENDS: dict[str, Callable[[dict[str, Any], Callable[[str], object]], Backend]] = {"slurm": Slurm, "ray": Ray}
"""Name of `--on` -> what makes the backend of some options and of what takes a sentence."""


def _all_of(error: Exception) -> str:
    """An error on one line."""
    return " ".join(str(error).split())[:400]


def _imported(module: str, extra: str) -> Any:
    """A package that only one backend needs; a ValueError that says how to install it where it is not there."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f"--on {extra} needs the package {module}: pip install -e '.[{extra}]'.") from None
