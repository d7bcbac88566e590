"""What a run says that its detector costs, and what a report makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from parts import save_model

from asd.experiment.history import read_history, write_history
from asd.experiment.run_folder import RunFolder
from asd.models.detector import load_detector
from asd.models.scoring_form import scoring_form
from asd.report import main as report


def cost_rows(folder: Path) -> dict[str, dict[str, str]]:
    """The report's table of quality and cost: system -> column -> cell."""
    (folder / "report").mkdir(exist_ok=True)
    assert report([f"runs={folder / 'runs'}", f"out={folder / 'report'}"]) == 0
    lines = (folder / "report" / "report.md").read_text().splitlines()
    table = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    at = next(i for i, row in enumerate(table) if "latency, ms" in row)
    rows = [row for row in table[at + 2 :] if len(row) == len(table[at])]
    return {row[0]: dict(zip(table[at], row, strict=True)) for row in rows}


def test_latency_and_energy_in_record_and_report(
    run_train: Callable[..., int], tmp_path: Path
) -> None:
    assert run_train("+experiment=u") == 0
    (path,) = (tmp_path / "runs").glob("*/run.json")
    u, record = RunFolder(path.parent), json.loads(path.read_text())
    assert record["latency_ms"]["shared"] > 0
    # Measured again: other milliseconds, the same run with the same scores.
    scores = u.scores.read_bytes()
    assert run_train("+experiment=u", "force=true") == 0
    assert u.scores.read_bytes() == scores and u.record()["latency_ms"] != record["latency_ms"]
    assert run_train("+experiment=knn") == 0
    rows = cost_rows(tmp_path)
    (of_u,) = (row for name, row in rows.items() if name.startswith("U"))
    assert of_u["latency, ms"] == f"{u.record()['latency_ms']['shared']:.3g}"
    assert "energy, kJ" not in of_u  # there is no GPU
    # As a GPU would have told it; and what an older run did not measure has a dash.
    history = u.model("shared") / "history.csv"
    measured = [{**row, "epoch_joules": 1500.0} for row in read_history(history)]
    write_history(history, measured)
    u.update(latency_ms={})
    (of_u,) = (row for name, row in cost_rows(tmp_path).items() if name.startswith("U"))
    assert (of_u["latency, ms"], of_u["energy, kJ"]) == ("-", f"{1.5 * len(measured):.3g}")
    # A start that could not measure: the sum would be of a part, so that there is none.
    del measured[0]["epoch_joules"]
    write_history(history, measured)
    assert all("epoch_joules" not in row for row in read_history(history))


def test_a_detector_is_made_ready_to_score_once(tmp_path: Path) -> None:
    detector = load_detector(save_model(tmp_path / "model.ckpt"))
    ready = scoring_form(detector)
    assert scoring_form(ready) is ready and ready is not detector
