"""A run's identity: the same science is the same run."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any


def identity(config: dict[str, Any], data_hash: str) -> str:
    """Hash of what determines a run's result.

    Args:
        config: the composed config as plain values. What ``identity.exclude`` lists (dotted names)
            cannot change the result and is left out.
        data_hash: of the clips that train and are scored (``Manifest.data_hash``).

    Returns:
        12 hexadecimal digits.
    """
    kept = copy.deepcopy(config)
    for name in config["identity"]["exclude"]:
        *parents, last = name.split(".")
        node: Any = kept
        for parent in parents:
            node = node.get(parent, {})
        node.pop(last, None)
    text = json.dumps({"config": kept, "data": data_hash}, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as dotted names; lists stay whole.

    >>> flat({"trainer": {"batch_size": 32}, "seed": 0})
    {'trainer.batch_size': 32, 'seed': 0}
    """
    result: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result


def delta(config: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """The options whose values differ from the base config's, or are not in it."""
    ours, theirs = flat(config), flat(base)
    missing = object()
    return {name: value for name, value in ours.items() if theirs.get(name, missing) != value}


#: The value of an option that a config lacks.
MISSING = "missing"


def settings(config: dict[str, Any], exclude: Sequence[str] | None = None) -> dict[str, Any]:
    """What determines a result besides the clips and the seed: dotted names, one normal form.

    Left out are what cannot change a result, the seed, and ``scale``, which only holds values that
    other options take.

    Args:
        config: the composed config as plain values.
        exclude: dotted names; None: the config's own ``identity.exclude``.
    """
    names = config["identity"]["exclude"] if exclude is None else exclude
    left_out = tuple(f"{name}." for name in (*names, "seed", "scale"))
    return {n: _normal(v) for n, v in flat(config).items() if not f"{n}.".startswith(left_out)}


def departures(config: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not those of ``base``; ``MISSING`` for one that only ``base`` has.

    What cannot change a result is what ``base`` says, so that an older config may be compared.
    """
    exclude = base["identity"]["exclude"]
    ours, theirs = settings(config, exclude), settings(base, exclude)
    differ = [n for n in {**ours, **theirs} if ours.get(n, MISSING) != theirs.get(n, MISSING)]
    return {name: ours.get(name, MISSING) for name in differ}


def _normal(value: Any) -> Any:
    """0 and 0.0 are the same number."""
    if isinstance(value, list):
        return [_normal(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
