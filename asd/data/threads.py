"""The same work on many items, in threads, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from multiprocessing.pool import ThreadPool
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
            # Its threads are daemons: a process does not wait for one that hangs (a disk that does
            # not answer), as it does for those of concurrent.futures.
            with one_torch_thread(), ThreadPool(workers) as pool:
                rest = list(pool.imap(work, items[1:]))
            done(group, [first, *rest])
