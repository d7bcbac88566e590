"""Checks of option values, for the parts that own the options."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from asd.errors import AsdError
from asd.secrets import redacted

Options = TypeVar("Options")


def check_choice(option: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not one of those allowed.

    Raises:
        AsdError: names the option, the values allowed, and the nearest of them.
    """
    if any(value == one and type(value) is type(one) for one in allowed):
        return
    near = hint(str(value), [str(one) for one in allowed])
    raise AsdError(f"{option}={value}: must be one of {', '.join(map(str, allowed))}{near}")


def check_names(prefix: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options of a group that it does not have, and the lack of those that it has.

    Raises:
        AsdError: names the first, and the nearest there is.
    """
    given, there = list(names), list(known)
    for name in given:
        if name not in there:
            raise AsdError(f"{prefix}{name}: no such option{hint(name, there)}")
    for name in there:
        if name not in given:
            raise AsdError(f"{prefix}{name}: not set, and every run needs it")


def hint(name: str, known: Sequence[str]) -> str:
    """`` (did you mean ...?)`` with what is nearest to the name; empty if nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def check_number(
    option: str, value: object, low: float, high: float = math.inf, above: bool = False
) -> None:
    """Refuse what is not a finite number from ``low``, with ``above`` beyond it, to ``high``.

    Raises:
        AsdError: names the option and the range.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high or (above and value == low):  # type: ignore[operator]
        raise AsdError(f"{option}={value}: must be a number {_range(low, high, above)}")


def check_whole(option: str, value: object, low: int, high: float = math.inf) -> None:
    """Refuse what is not a whole number from ``low`` to ``high``.

    Raises:
        AsdError: names the option and the range.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high:  # type: ignore[operator]
        raise AsdError(f"{option}={value}: must be a whole number {_range(low, high, False)}")


def check_no_secret(option: str, value: object) -> None:
    """Refuse an address that every run would store, with the secret in it.

    Raises:
        AsdError: names the option, and where the secret may stand.
    """
    if (hidden := redacted(str(value))) != str(value):
        raise AsdError(
            f"{option}: holds a password, user or token, which would be stored and printed "
            f"({hidden}); give it in MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN (a server), or in PGUSER, "
            "PGPASSWORD or ~/.pgpass (PostgreSQL)"
        )


def from_config(cls: type[Options], group: str, config: Mapping[str, Any]) -> Options:
    """The dataclass of a composed config group (plain values), which checks the values itself.

    Raises:
        AsdError: an option is missing or not one of these, or has a value that cannot be.
    """
    check_names(f"{group}.", config, (field.name for field in fields(cls)))  # type: ignore[arg-type]
    return cls(**config)


def _range(low: float, high: float, above: bool) -> str:
    if above:
        return f"above {low:.10g}" + ("" if math.isinf(high) else f" and at most {high:.10g}")
    return f"{low:.10g} or more" if math.isinf(high) else f"from {low:.10g} to {high:.10g}"
