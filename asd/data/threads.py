"""The same work on many items, in threads, group by group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from asd.cores import one_torch_thread
from asd.progress import progress_bar

Group = TypeVar("Group")
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    call: Callable[[Item], Result],
    groups: Mapping[Group, Sequence[Item]],
    workers: int,
    label: str,
    done: Callable[[Group, list[Result]], object],
) -> None:
    """Call ``call`` with every item of groups that are not empty, with progress shown.

    ``done`` is given each group's results in their order, before the next group begins. What a
    call raises, or a signal, ends this at once.
    """
    total = sum(len(items) for items in groups.values())
    with progress_bar(label, total) as advance:

        def work(item: Item) -> Result:
            result = call(item)
            advance(1)
            return result

        for group, items in groups.items():
            first = work(items[0])  # here: it imports and compiles what the threads then share
            with one_torch_thread():
                rest = _in_daemons(work, items[1:], workers)
            done(group, [first, *rest])


def _in_daemons(
    call: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> list[Result]:
    """Results in the order of the items.

    A process waits for the threads of the library's pools before it ends, even for one that hangs
    (a disk that does not answer); for daemons it does not.
    """
    calls: list[tuple[Future[Result], Item]] = [(Future(), item) for item in items]
    todo = deque(calls)

    def work() -> None:
        while todo:
            with suppress(IndexError):  # another thread took the last
                future, item = todo.popleft()
                try:
                    future.set_result(call(item))
                except BaseException as error:
                    future.set_exception(error)

    for _ in range(min(workers, len(items))):
        Thread(target=work, daemon=True).start()
    try:
        return [future.result() for future, _ in calls]
    finally:
        todo.clear()  # so that no thread begins another
