"""The exceptions that are no fault of the program: what the user must mend, and being stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from asd.secrets import redacted

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SHOWN = 20  # names in a message before the rest is only counted


class AsdError(Exception):
    """A wrong input: the message names the file or the option and says what to do.

    The command-line programs print it without a traceback and exit with status 2.
    """

    def __str__(self) -> str:
        return redacted(shown(super().__str__()))


class RunIsBusyError(AsdError):
    """Another process trains this very run at the moment."""


class Pruned(AsdError):
    """A search gave this run up: others were better at this point. Training it goes on from there.

    Args:
        epoch: after which, counted from 1, over all models of the run.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(epoch)
        self.epoch = epoch

    def __str__(self) -> str:
        return f"pruned after epoch {self.epoch}"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, whose number it is raised with: the machine is taken back, or the terminal
    closed. Handled like Ctrl-C.
    """


def first_lines(lines: Iterable[str]) -> str:
    """The first ``SHOWN`` of these lines of a message, the rest only counted."""
    every = list(lines)
    rest = [f"  and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
    return "\n".join(every[:SHOWN] + rest)


def shown(text: Path | str) -> str:
    """A text or path that can be printed and stored: other people's names and notes may be no
    UTF-8, or hold what a terminal obeys (escape sequences, changes of direction).
    """
    plain = str(text).encode("utf-8", "backslashreplace").decode()
    return _OBEYED.sub(lambda found: f"\\x{ord(found[0]):02x}", plain)
