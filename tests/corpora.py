"""Corpora and stores for tests: every option in plain view, none of them from conf/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asd.data.dcase2020 import DCASE2020
from asd.data.folder import Folder
from asd.data.simulated import Simulated
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
# The first machine IDs of each type: two of development, one of the others.
MIMII, TOY = (["00", "02"], "01"), (["01", "02"], "05")
IDS = dict.fromkeys(("fan", "pump", "slider", "valve"), MIMII) | {"ToyCar": TOY}
IDS["ToyConveyor"] = (["01", "02"], "04")


def folder(root: Path | str | None, **changes: Any) -> Folder:
    """``Folder`` with everything that lies there, unless ``changes`` say otherwise."""
    return Folder(root=root, **(_OPTIONS | changes))


def dcase2020(root: Path | str | None, **changes: Any) -> DCASE2020:
    """``DCASE2020`` with all machine types, its counts compared."""
    return DCASE2020(root=root, **({**_OPTIONS, "verify_counts": True} | changes))


def simulated(root: Path | str, **changes: Any) -> Simulated:
    """``Simulated`` with twelve clips a machine type and ID at most, of half a second."""
    options: dict[str, Any] = {
        "seed": 0,
        "rate": 16000,
        "machines": tuple(IDS),
        "counts": "given",
        "snr_db": 6.0,
        "snr_spread_db": 2.0,
        "level_db": -42.0,
        "level_spread_db": 3.0,
        "strength": (0.2, 1.0),
        "seconds": 0.5,
        "toy_car_seconds": 0.5,
        "ids_development": 2,
        "ids_additional": 1,
        "train_per_id": 2,
        "test_normal_per_id": 1,
        "test_anomaly_per_id": 2,
    }
    return Simulated(root=root, **(options | changes))


def feature_store(root: Path, frontend: FrontEnd, **changes: Any) -> FeatureStore:
    """``FeatureStore`` of float32 features of mono files."""
    options = {"dtype": "float32", "channel": None}
    return FeatureStore(root, frontend, **(options | changes))
