"""The same work on many items, in threads, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

    ``done`` is given each group's results in their order, before the next group begins.
    """
    total = sum(len(items) for items in groups.values())
    with progress_bar(label, total) as advance, ThreadPoolExecutor(workers) as pool:

        def work(item: Item) -> Result:
            result = call(item)
            advance(1)
            return result

        for group, items in groups.items():
            first = work(items[0])  # here: it imports and compiles what the threads then share
            with one_torch_thread():
                rest = list(pool.map(work, items[1:]))
            done(group, [first, *rest])
