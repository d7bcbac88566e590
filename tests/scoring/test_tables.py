from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from asd.documents import terminal
from asd.documents.blocks import Table
from asd.errors import AsdError
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.tables import document, id_table, machine_table, markdown, write_tables

TITLE = "SS-0.5-0.5, seed 0"
DATA = "SIMULATED data, demo scale"


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
    frame = pd.concat(
        [
            group("fan", "00", [1, 8, 5, 2], [9, 7, 6]),
            group("fan", "02", [1, 8, 5, 2], [9, 10]),
            group("ToyCar", "01", [1, 2, 3, 4], [9]),
            group("ToyCar", "03", [1, 2, 3, 4], []),
            group("[red]a|b", "00", [1, 2], []),
        ]
    )
    return evaluate_scores(frame, 0.5)


def texts(table: Table) -> list[list[str]]:
    """The header and the rows."""
    rows = [["\n".join(line.text for line in cell) for cell in row] for row in table.rows]
    return [table.header, *rows]


def test_machine_table(metrics: Metrics) -> None:
    cells = texts(machine_table(metrics))
    assert cells[0] == ["", "ToyCar", "fan", "[red]a|b", "mean"]
    rows = {row[0]: row[1:] for row in cells[1:]}
    assert rows["AUC"] == ["100.00*", "91.67", "undefined", "95.83*"]
    assert rows["pAUC eq. (3)"] == ["100.00*", "83.33", "undefined", "91.67*"]
    assert rows["AUC harmonic"] == ["100.00*", "90.91", "undefined", "95.45*"]
    # fan pooled: normals 1 1 2 2 5 5 8 8, anomalies 6 7 9 9 10: (6 + 6 + 8 + 8 + 8) / 40
    assert rows["AUC pooled"] == ["100.00", "90.00", "undefined", "95.00*"]


def test_id_table(metrics: Metrics) -> None:
    cells = texts(id_table(metrics))
    assert cells[1][:3] == ["ToyCar", "id_01", "100.00"]
    assert cells[2] == ["ToyCar", "id_03", *["undefined"] * 3, "4", "0", "0"]
    assert cells[3][:3] == ["fan", "id_00", "83.33"]
    assert cells[3][4:] == ["66.67", "4", "3", "0"]


def test_no_star_where_nothing_is_left_out() -> None:
    whole = evaluate_scores(group("fan", "00", [1, 8, 5, 2], [9, 7, 6]), 0.5)
    text = markdown(whole, TITLE, DATA)
    assert "*" not in text
    assert "ndefined" not in text


def test_written_csv_loads_with_pandas_and_says_simulated(metrics: Metrics, tmp_path: Path) -> None:
    files = write_tables(tmp_path / "tables", metrics, TITLE, DATA)
    assert [f.name for f in files] == ["per_machine.csv", "per_id.csv", "tables.md"]
    assert sorted(tmp_path.glob("tables/*")) == sorted(files)

    machines = pd.read_csv(files[0])
    assert list(machines.columns[:4]) == ["data", "title", "machine", "auc_percent"]
    assert set(machines["data"]) == {DATA}
    assert set(machines["title"]) == {TITLE}
    assert list(machines["machine"]) == ["ToyCar", "fan", "[red]a|b", "mean"]
    np.testing.assert_allclose(
        machines["auc_percent"], [100, 100 * 11 / 12, np.nan, 100 * 23 / 24], atol=1e-6
    )
    assert machines["n_normal"].tolist() == [8, 8, 2, 18]
    assert machines["n_ids"].tolist() == [2, 2, 1, 5]
    assert machines["undefined"][0] == "ToyCar id_03: no anomaly clip"
    assert pd.isna(machines["undefined"][1])
    assert "ToyCar id_03" in machines["undefined"][3]

    ids = pd.read_csv(files[1])
    assert list(ids["id"]) == ["id_01", "id_03", "id_00", "id_02", "id_00"]
    assert ids["auc_percent"][2] == pytest.approx(100 * 10 / 12, abs=1e-6)
    assert pd.isna(ids["auc_percent"][1])
    assert ids["undefined"][1] == "no anomaly clip"
    assert set(ids["data"]) == {DATA}
    assert set(ids["max_fpr"]) == set(machines["max_fpr"]) == {0.5}


def test_markdown_has_title_data_and_footnotes(metrics: Metrics) -> None:
    text = markdown(metrics, "SS\n# x", DATA)
    assert text.startswith(f"# SS # x\n\nData: {DATA}\n\n")
    assert "| AUC | 100.00\\* | 91.67 | undefined | 95.83\\* |" in text
    assert "[red]a\\|b" in text
    assert "\n- ToyCar id_03: no anomaly clip\n" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == (2 + 7) + (2 + 5)
    assert {line.replace("\\|", "").count("|") for line in tables} == {6, 9}


def test_terminal_prints_all_of_it_within_80_columns(metrics: Metrics) -> None:
    stream = io.StringIO()
    terminal.show(document(metrics, "[bold]" + TITLE, DATA), Console(file=stream, width=80))
    text = stream.getvalue()
    assert "[bold]" + TITLE in text
    assert DATA in text
    assert "[red]a|b" in text
    assert "95.83*" in text
    assert "ToyCar id_03: no anomaly clip" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_full_paper_table_is_not_cut_at_80_columns() -> None:
    names = ["ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve"]
    metrics = evaluate_scores(pd.concat([group(n, "01", [1.0] * 10, [2.0]) for n in names]), 0.1)
    stream = io.StringIO()
    terminal.show(document(metrics, TITLE, DATA), Console(file=stream, width=80))
    line = next(line for line in stream.getvalue().splitlines() if "pAUC harmonic" in line)
    assert line.split() == ["pAUC", "harmonic", *["100.00"] * 7]
    assert all(name in stream.getvalue() for name in names)


def test_a_folder_that_cannot_be_made_is_named(metrics: Metrics, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with pytest.raises(AsdError, match=r"tables/per_machine\.csv: cannot be written"):
        write_tables(tmp_path / "tables", metrics, TITLE, DATA)
