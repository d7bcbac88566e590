"""How a command-line program ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from asd.errors import AsdError


def exit_status(program: Callable[[], object]) -> int:
    """Run a program's work.

    Returns:
        0, also where the reader of its output has gone (``| head``); 2 for an input that the user
        must mend, which stderr then names.
    """
    try:
        program()
        sys.stdout.flush()
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
