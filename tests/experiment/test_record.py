"""What the record says of the data, without any machine's paths."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from asd.data.manifest import COLUMNS, Manifest
from asd.experiment.record import describe


def test_a_dataset_is_the_same_wherever_it_lies() -> None:
    rows = [
        [release, "fan", f"0{n}", "train", 0, f"{release}/{n}.wav", 16000, 16000, f"h{n}"]
        for release in ("additional", "development")
        for n in range(3)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    here, there = (Manifest(Path(root), table) for root in ("/secret/place", "/other"))
    described = describe(here, "simulated", "training")
    assert described == describe(there, "simulated", "training")
    assert described["name"] == "simulated development+additional train"
    assert described["digest"] == here.data_hash()
    assert described["profile"]["clips"] == 6 and described["profile"]["normal"] == 6
    assert "secret" not in json.dumps(described)
