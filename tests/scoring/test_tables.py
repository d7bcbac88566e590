from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asd.documents.blocks import Table
from asd.documents.rendering import markdown
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.tables import (
    convergence_notes,
    document,
    id_table,
    machine_table,
    remarks,
    show,
)

TITLE = "[bold]SS-0.5-0.5, seed 0, SIMULATED, demo scale"
Capture = pytest.CaptureFixture[str]


def group(machine: str, machine_id: str, normal: list[float], anomaly: list[float]) -> pd.DataFrame:
    scores = [*normal, *anomaly]
    return pd.DataFrame(
        {
            "machine": machine,
            "id": machine_id,
            "file": [f"{machine}/id_{machine_id}_{i}.wav" for i in range(len(scores))],
            "label": [0] * len(normal) + [1] * len(anomaly),
            "score": np.array(scores, dtype=float),
        }
    )


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    # Two thresholds (p = 0.5 of 4 normals), by hand: fan 00: AUC 10/12, eq. (3) 4/6.
    groups = [
        group("fan", "00", [1, 8, 5, 2], [9, 7, 6]),
        group("fan", "02", [1, 8, 5, 2], [9, 10]),
        group("ToyCar", "01", [1, 2, 3, 4], [9]),
        group("ToyCar", "03", [1, 2, 3, 4], []),
        group("[red]a|b", "00", [1, 2], []),
    ]
    return evaluate_scores(pd.concat(groups), 0.5)


def texts(table: Table) -> list[list[str]]:
    return [[line.text for cell in row for line in cell] for row in table.rows]


def test_figures_are_marked_where_a_part_is_left_out(metrics: Metrics) -> None:
    table = machine_table(metrics)
    assert table.header == ["", "ToyCar", "fan", "[red]a|b", "mean"]
    rows = {row[0]: row[1:] for row in texts(table)}
    assert rows["AUC"] == ["100.00*", "91.67", "undefined", "95.83*"]
    assert rows["pAUC eq. (3)"] == ["100.00*", "83.33", "undefined", "91.67*"]
    assert rows["AUC harmonic"] == ["100.00*", "90.91", "undefined", "95.45*"]
    # fan pooled: normals 1 1 2 2 5 5 8 8, anomalies 6 7 9 9 10: (6 + 6 + 8 + 8 + 8) / 40
    assert rows["AUC pooled"] == ["100.00", "90.00", "undefined", "95.00*"]
    ids = texts(id_table(metrics))
    assert ids[0][:3] == ["ToyCar", "id_01", "100.00"]
    assert ids[1] == ["ToyCar", "id_03", *["undefined"] * 3, "4", "0", "0"]
    assert (ids[2][:3], ids[2][4:]) == (["fan", "id_00", "83.33"], ["66.67", "4", "3", "0"])
    text = markdown(document(metrics, "SS\n# x"))
    assert text.startswith("# SS # x\n\n")
    assert "| AUC | 100.00\\* | 91.67 | undefined | 95.83\\* |" in text
    assert "\n- ToyCar id_03: no anomaly clip\n" in text
    full = evaluate_scores(group("fan", "00", [1, 8, 5, 2], [9]), 0.5)
    whole = markdown(document(full, TITLE))
    assert "*" not in whole and "ndefined" not in whole


def test_ids_that_never_trained_and_warnings_are_said_everywhere(
    metrics: Metrics, tmp_path: Path, capsys: Capture
) -> None:
    said = {"unseen": ["fan/id_02"], "warnings": ["/data: 2 files are not used:\n  a\n  b", "odd"]}
    cell = "id_02 (never trained)"
    assert [row[1] for row in texts(id_table(metrics, ["fan/id_02"]))].count(cell) == 1
    show(metrics, TITLE, **said)
    for text in (markdown(document(metrics, TITLE, **said)), capsys.readouterr().out):
        for part in (cell, "Warning: /data: 2 files are not used", "Warning: odd"):
            assert part in text
    page = document(metrics, TITLE, **remarks(said, tmp_path))
    assert markdown(page) == markdown(document(metrics, TITLE, **said))


def test_terminal_prints_all_of_it_within_80_columns(
    metrics: Metrics, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(metrics, TITLE)
    text = capsys.readouterr().out
    for part in (TITLE, "[red]a|b", "95.83*", "ToyCar id_03: no anomaly clip"):
        assert part in text
    names = ["ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve"]
    paper = evaluate_scores(pd.concat([group(n, "01", [1.0] * 10, [2.0]) for n in names]), 0.1)
    show(paper, TITLE)
    text += (wide := capsys.readouterr().out)
    assert max(map(len, text.splitlines())) <= 80
    line = next(line for line in wide.splitlines() if "pAUC harmonic" in line)
    assert line.split() == ["pAUC", "harmonic", *["100.00"] * 7]


def test_the_notes_name_every_model_and_begin_with_those_not_converged() -> None:
    told = {"epochs": 9, "steps": 18, "best_epoch": 8, "scoring_epoch": 9, "ended": "max_epochs"}
    models = {m: {**told, "converged": m != "pump"} for m in ("fan", "pump", "valve")}
    models["slider"] = {**models["fan"], "best_epoch": 9}
    bad, hardly, good = convergence_notes(models)
    assert "although the best epoch is the last: slider, 18 steps" in hardly
    assert bad == (
        "NOT CONVERGED (raise trainer.max_epochs): "
        "pump, 18 steps, epoch 9 of 9 scores (best 8), ended by max_epochs."
    )
    assert good.startswith("Converged: fan, 18 steps")
    assert "; valve, 18 steps" in good
