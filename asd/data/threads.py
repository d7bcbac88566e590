"""The same work on many items, in threads, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
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

    The threads of the library's pools are waited for when the process ends; one that hangs (a disk
    that does not answer) would keep it alive. Daemons are not.
    """
    todo: SimpleQueue[tuple[int, Item]] = SimpleQueue()
    ended: SimpleQueue[tuple[int, Result | BaseException, bool]] = SimpleQueue()
    for pair in enumerate(items):
        todo.put(pair)

    def work() -> None:
        with suppress(Empty):
            while True:
                number, item = todo.get_nowait()
                try:
                    ended.put((number, call(item), True))
                except BaseException as error:
                    ended.put((number, error, False))

    for _ in range(min(workers, len(items))):
        Thread(target=work, daemon=True).start()
    results: dict[int, Result] = {}
    try:
        for _ in items:
            number, result, good = ended.get()
            if not good:
                raise result  # type: ignore[misc]
            results[number] = result  # type: ignore[assignment]
    finally:
        with suppress(Empty):  # so that no thread begins another
            while True:
                todo.get_nowait()
    return [results[number] for number in range(len(items))]
