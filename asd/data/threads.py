"""The same work on many items, in threads."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from asd.cores import one_torch_thread
from asd.progress import progress_bar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    call: Callable[[Item], Result], items: list[Item], workers: int, label: str
) -> Generator[Result]:
    """What ``call`` gives for each of these items, in their order, with progress shown.

    The first item is done in the caller's thread: it imports and compiles what the threads then
    share. Close the generator to stop before the end.
    """
    with progress_bar(label, len(items)) as advance:
        for item in items[:1]:
            yield call(item)
            advance(1)
        with one_torch_thread():
            pool = ThreadPoolExecutor(workers)
            try:
                for result in pool.map(call, items[1:]):
                    yield result
                    advance(1)
            finally:
                pool.shutdown(cancel_futures=True)
