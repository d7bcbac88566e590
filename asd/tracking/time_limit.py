"""A time limit on what a tracker is asked, however it answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MEGABYTE = 10**6


def within(seconds: float, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What the function returns or raises.

    The timeouts of HTTP count from one byte to the next, so that a server that drips would hold a
    run for ever. A call that is given up goes on in a thread that ends with the process.

    Raises:
        TimeoutError: it takes longer.
    """
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done():  # its own
            raise
        raise TimeoutError(f"no whole answer in {seconds:.0f} s") from error


class LimitedClient:
    """An ``MlflowClient`` that gives up a call after a time; a file has as long for each MB."""

    def __init__(self, client: MlflowClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return partial(within, self._seconds, method) if callable(method) else method

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """See MLflow."""
        limit = self._seconds * (1 + Path(local_path).stat().st_size / _MEGABYTE)
        within(limit, self._client.log_artifact, run_id, local_path, artifact_path)
