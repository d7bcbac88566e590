"""The one exception that is the user's to mend."""

from __future__ import annotations


class AsdError(Exception):
    """A wrong input: the message names the file or the option and says what to do.

    The command-line programs print it without a traceback and exit with status 2.
    """
