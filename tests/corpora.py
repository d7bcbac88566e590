"""Corpora and stores for tests: every option in plain view, none of them from conf/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asd.data.dcase2020 import DCASE2020
from asd.data.folder import Folder
from asd.features.store import FeatureStore
from asd.frontends.frontend import FrontEnd

_OPTIONS: dict[str, Any] = {
    "machines": None,
    "ids": None,
    "rate": 16000,
    "channel": None,
    "on_bad_clip": "error",
    "cache": None,
}


def folder(root: Path | str | None, **changes: Any) -> Folder:
    """``Folder`` with everything that lies there, unless ``changes`` say otherwise."""
    return Folder(root=root, **(_OPTIONS | changes))


def dcase2020(root: Path | str | None, **changes: Any) -> DCASE2020:
    """``DCASE2020`` with all machine types, its counts compared."""
    return DCASE2020(root=root, **({**_OPTIONS, "verify_counts": True} | changes))


def feature_store(root: Path, frontend: FrontEnd, **changes: Any) -> FeatureStore:
    """``FeatureStore`` of float32 features of mono files."""
    options = {"dtype": "float32", "channel": None}
    return FeatureStore(root, frontend, **(options | changes))
