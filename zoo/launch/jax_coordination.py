"""JAX's coordination service: what connected processes tell each other, and how one of them goes on alone.

`jax.distributed` has `initialize`, `shutdown` and `is_initialized`, and `jax.experimental.multihost_utils` has
`reached_preemption_sync_point`. Nothing public gives the service's key-value store, a process's number before a backend
runs, or a process that has hung up and trains on as the only one. Those are private names of JAX, and this is the only
file of the program that uses any. They are where jax 0.10 has them (0.10.2 was tried); each is looked up before it is
needed, and one that has moved is a sentence.
"""

from typing import Any

STATE_NAMES = ("process_id", "num_processes", "client")
"""What is read from, and written into, `jax._src.distributed.global_state`."""

CLIENT_NAMES = ("key_value_set", "blocking_key_value_get", "key_value_try_get", "wait_at_barrier")
"""What is called of its client."""


class Coordination:
    """This process's place among those that `jax.distributed.initialize` has connected, and what they tell each other.

    Attributes:
      index, count: the number of this process, and how many there are.

    Raises:
      ValueError: this version of JAX has one of the names somewhere else.
    """

    def __init__(self) -> None:
        self._state = _global_state()
        self._client = self._state.client
        for name in CLIENT_NAMES:
            _attribute(self._client, name, "distributed.global_state.client")
        self.index: int = self._state.process_id
        self.count: int = self._state.num_processes

    def set(self, key: str, value: str, again: bool = False) -> None:
        """Tell all others; a key that has a value already is an error, unless `again`."""
        self._client.key_value_set(key, value, allow_overwrite=again)

    def get(self, key: str, seconds: float) -> str:
        """What somebody has told, or tells within some seconds."""
        return self._client.blocking_key_value_get(key, round(seconds * 1000))

    def try_get(self, key: str) -> str:
        """What somebody has told so far; an error of JAX where nobody has."""
        return self._client.key_value_try_get(key)

    def barrier(self, name: str, seconds: float) -> None:
        """Wait until every process is here, at most some seconds."""
        self._client.wait_at_barrier(name, round(seconds * 1000))

    def preempted(self, number: int) -> bool:
        """Whether all processes are to save at this number; see `jax.experimental.multihost_utils`."""
        from jax.experimental import multihost_utils

        return multihost_utils.reached_preemption_sync_point(number)

    def go_on_alone(self) -> None:
        """Hang up. From here on this is a process like any other: it has its own devices, and nobody else's."""
        import jax

        jax.distributed.shutdown()
        self._state.process_id, self._state.num_processes = 0, 1


def _global_state() -> Any:
    """JAX's own account of the processes, with every name that is needed of it."""
    try:
        from jax._src import distributed
    except ImportError:
        raise _moved("distributed") from None
    state = _attribute(distributed, "global_state", "distributed")
    for name in STATE_NAMES:
        _attribute(state, name, "distributed.global_state")
    return state


def _attribute(owner: Any, name: str, place: str) -> Any:
    if not hasattr(owner, name):
        raise _moved(f"{place}.{name}")
    return getattr(owner, name)


def _moved(name: str) -> ValueError:
    import jax

    return ValueError(
        f"jax {jax.__version__} has no jax._src.{name}, by which processes that train together meet (jax 0.10 has): "
        "update this program, install jax 0.10, or train in one process."
    )
