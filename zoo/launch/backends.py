"""Where shares of a zoo can be sent: a SLURM cluster, or a Ray cluster. Thin: an engine runs a function somewhere else.

Both send code and arguments by pickle, to machines and from folders that are the user's own.
"""

import os
from collections.abc import Callable
from typing import Any

from zoo.files import cache_folder
from zoo.wording import first_line


class Slurm:
    """Jobs of SLURM, through submitit; where there is none, processes of this machine.

    Args:
      options: of `submitit.AutoExecutor.update_parameters`: gpus_per_node, cpus_per_task, timeout_min,
        slurm_partition ...
      say: takes a sentence.

    Attributes:
      at_once: how many jobs there may be; None where the engine knows that itself.
    """

    def __init__(self, options: dict[str, Any], say: Callable[[str], Any]):
        submitit = _imported("submitit", "slurm")
        # Results come back as pickles: they lie with the user, not in the zoo directory, which others may write.
        folder = cache_folder() / "jobs"
        self._executor = submitit.AutoExecutor(folder=folder)
        try:
            self._executor.update_parameters(**{"name": "zoo", "timeout_min": 24 * 60, **options})
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"--engine does not suit SLURM: {_all_of(error)}") from None
        self.at_once = None
        if self._executor.cluster == "local":
            self.at_once = os.cpu_count() or 1
            say(f"There is no SLURM here: the shares run as processes of this machine, {self.at_once} at a time.")

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Start a function somewhere; a handle."""
        return self._executor.submit(function, *args)

    def ended(self, job: Any) -> bool:
        """Whether it has."""
        return job.done()

    def result(self, job: Any) -> Any:
        """What the function gave, or an error: the last line of what went wrong."""
        error = job.exception()
        if error is None:
            return job.result()
        if type(error).__name__ == "UncompletedJobError":
            raise RuntimeError("it was killed, or its machine is gone")
        lines = [line for line in str(error).strip().splitlines() if line.strip(" -")]
        raise RuntimeError(lines[-1].strip()[:300] if lines else type(error).__name__)

    def cancel(self, job: Any) -> None:
        """Ask for its end."""
        job.cancel(check=False)


class Ray:
    """Tasks of Ray, which starts those anew whose worker has died: on the cluster at RAY_ADDRESS, or, where that is not
    set, on a Ray of this machine only.

    Args:
      options: of `ray.remote`: num_gpus, num_cpus, resources, max_retries ...
      say: takes a sentence.
    """

    def __init__(self, options: dict[str, Any], say: Callable[[str], Any]):
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray = _imported("ray", "ray")
        if not self._ray.is_initialized():
            own = {} if os.environ.get("RAY_ADDRESS") else {"address": "local", "_node_ip_address": "127.0.0.1"}
            self._ray.init(log_to_driver=False, include_dashboard=False, logging_level="error", **own)
        self.at_once = None
        self._options = {"max_retries": 3, **options}
        try:
            self._ray.remote(**self._options)(lambda: None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"--engine does not suit Ray: {_all_of(error)}") from None

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Start a function somewhere; a handle."""
        return self._ray.remote(**self._options)(function).remote(*args)

    def ended(self, job: Any) -> bool:
        """Whether it has."""
        return bool(self._ray.wait([job], timeout=0)[0])

    def result(self, job: Any) -> Any:
        """What the function gave, or an error: the last line of what went wrong."""
        try:
            return self._ray.get(job)
        except self._ray.exceptions.RayError as error:
            cause = error.cause if isinstance(error, self._ray.exceptions.RayTaskError) else error
            raise RuntimeError(first_line(cause)) from None

    def cancel(self, job: Any) -> None:
        """Ask for its end."""
        self._ray.cancel(job)


BACKENDS = {"slurm": Slurm, "ray": Ray}


def _all_of(error: Exception) -> str:
    """An error on one line."""
    return " ".join(str(error).split())[:400]


def _imported(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f"--on {extra} needs the package {module}: pip install -e '.[{extra}]'.") from None
