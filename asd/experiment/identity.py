"""A run's identity: the same science is the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Of the code that decides numbers; in a run's identity, so that a run of older code is not taken
# for one of today's. Raise a part's number with every change that moves what it computes
# (tests/experiment/test_versions.py notices). Front ends have a version of their own.
TRAINING_VERSIONS = {"clips": 1, "training": 1}
SCORING_VERSIONS = {"scoring": 1}


def identity(
    config: dict[str, Any], data_hash: str, versions: Mapping[str, Any] | None = None
) -> str:
    """Hash of what determines a result, 12 hexadecimal digits.

    Of the ``settings`` of a composed config, as plain values, of the clips
    (``Manifest.data_hash``), and of the versions of the code.
    """
    what = {"config": settings(config), "data": data_hash, "versions": dict(versions or {})}
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def training_identity(config: dict[str, Any], data_hash: str, versions: Mapping[str, Any]) -> str:
    """The same of what determines a trained model: without ``identity.scoring``.

    Runs that share it differ in how their clips are scored, and need one training between them.
    """
    exclude = [*config["identity"]["exclude"], *config["identity"]["scoring"]]
    left_out = {**config["identity"], "exclude": exclude}
    return identity({**config, "identity": left_out}, data_hash, versions)


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """The options by dotted names that can change a result; 1.0 is 1.

    Without ``identity.exclude``, groups that are off, and options at the value at which a run is
    what it is without them (``identity.since``): earlier runs stay the same runs.
    """
    rules = config["identity"]
    switches, since = rules.get("switches", {}), rules.get("since", {})  # earlier configs lack them
    off = [group for group, switch in switches.items() if not config.get(group, {}).get(switch)]
    exclude = [*rules["exclude"], *off]
    return {
        name: _number(value)
        for name, value in flat(config).items()
        if not any(name == out or name.startswith(f"{out}.") for out in exclude)
        and (name not in since or since[name] != value)
    }


def _number(value: Any) -> Any:
    """Whole numbers as such, in lists too: 0 and 0.0 are one setting."""
    if isinstance(value, list):
        return [_number(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
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


#: The value of an option that a config lacks.
MISSING = "missing"


def departures(config: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not those of ``base``; ``MISSING`` for one that only ``base`` has.

    Neither the seed nor ``scale``, which only holds values that other options take. What cannot
    change a result is what ``base`` says, so that an older config may be compared.
    """
    exclude = {**base["identity"], "exclude": [*base["identity"]["exclude"], "seed", "scale"]}
    ours, theirs = (settings({**one, "identity": exclude}) for one in (config, base))
    differ = [n for n in {**ours, **theirs} if ours.get(n, MISSING) != theirs.get(n, MISSING)]
    return {name: ours.get(name, MISSING) for name in differ}
