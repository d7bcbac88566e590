"""How a command-line program begins and ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from asd.errors import AsdError


class _Output(io.FileIO):
    """A stream that outlives its reader (``| head``) and a full disk, an ``AsdError`` where it can
    be said: what comes after goes nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if not isinstance(error, BrokenPipeError) and self.fileno() != 2:
                raise AsdError(f"standard output cannot be written: {error.strerror}") from error
            return memoryview(data).nbytes


def program(main: Callable[[], int | None]) -> NoReturn:
    """Run ``main`` as the process that it is, and end with its status.

    The work goes on to its end, files and all, where nobody reads its output any more.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.isatty():
            continue
        raw = _Output(stream.fileno(), "w", closefd=False)
        buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)
        options = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
        setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, stream.errors, **options))
    sys.exit(main())


def exit_status(work: Callable[[], object]) -> int:
    """Do a program's work; returns 0, or 2 for an input that the user must mend, as stderr says."""
    try:
        work()
        print(end="", flush=True)  # a full disk is an error here
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
