"""SIGTERM, Ctrl-C and preemption notices: save, then end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoo.running.shares import Cluster


class Stopped(Exception):
    """A signal stopped the training; everything is saved, or the message says what is not."""


def end_at_once_from_now_on() -> bool:
    """Make the next SIGTERM end the process; true, for a condition. JAX's preemption service has heard a first one, and
    would swallow a second."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    return True


@contextmanager
def handled_signals(stop: threading.Event, cluster: Cluster) -> Iterator[list[str]]:
    """SIGTERM and Ctrl-C ask for a save and an end; a second one ends at once.

    Only the main thread can listen: in another one nothing is changed, and nothing heard.

    Args:
      stop: set by the first signal.
      cluster: where it listens to JAX's preemption service, that hears SIGTERM in this process's place.

    Yields:
      The names of the signals that have come, for the time of the run one at most.
    """
    names: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield names
        return

    def handle(number: int, frame: Any) -> None:
        if names:
            os._exit(128 + number)
        names.append(signal.Signals(number).name)
        stop.set()

    heard = [signal.SIGINT] if cluster.announced else [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        heard.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handle) for number in heard}
    try:
        yield names
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if cluster.announced:  # nobody listens to the service any more
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
