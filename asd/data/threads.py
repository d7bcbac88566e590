"""The same work on many items, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from asd.cores import one_torch_thread
from asd.progress import progress_bar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 8  # items a thread: results wait in memory


def in_threads(
    call: Callable[[Item], Result], items: list[Item], workers: int, label: str
) -> Generator[Result]:
    """What ``call`` gives for each of these items, in their order, with progress shown.

    The first item is done in the caller's thread: it imports and compiles what the threads then
    share. They are a few items ahead of the caller, who may be slower. Close the generator to stop
    before the end.
    """
    with progress_bar(label, len(items)) as advance:
        for item in items[:1]:
            yield call(item)
            advance(1)
        with one_torch_thread():
            pool = ThreadPoolExecutor(workers)
            ahead: deque[Future[Result]] = deque()
            try:
                for item in items[1:]:
                    ahead.append(pool.submit(call, item))
                    if len(ahead) > _AHEAD * workers:
                        yield ahead.popleft().result()
                        advance(1)
                while ahead:
                    yield ahead.popleft().result()
                    advance(1)
            finally:
                pool.shutdown(cancel_futures=True)
