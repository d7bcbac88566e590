"""A run's identity: the same science is the same run."""

from __future__ import annotations

import copy
import hashlib
import json
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
