"""AUC by fault, against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Runs, made_scores
from sklearn.metrics import roc_auc_score

from asd import report
from asd.reporting.content import section_blocks
from asd.reporting.faults import fault_aucs, fault_results


def with_faults(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores whose anomalies have one of two causes and a strength."""
    rng, faulty = np.random.default_rng(5), frame["label"] == 1
    causes, strengths = rng.choice(["crack", "leak"], len(frame)), rng.uniform(0.2, 1, len(frame))
    return frame.assign(
        cause=np.where(faulty, causes, None), strength=np.where(faulty, strengths, np.nan)
    )


def test_auc_by_fault_is_scikit_learns_against_all_normals_of_the_id() -> None:
    made = (made_scores(seed, machines=("fan", "pump"), anomaly=40) for seed in (1, 2, 3))
    frames = [with_faults(frame) for frame in made]
    found = fault_aucs(frames[0], np.stack([frame["score"] for frame in frames]))
    middle = frames[0]["strength"].median()
    for machine, cause, strength, clips, auc in found.itertuples(index=False):
        expected, faulty = [], 0
        for frame in frames:
            half = np.where(frame["strength"] <= middle, "weak", "clear")
            of_kind = (frame["cause"] == cause) & ((strength == "all") | (half == strength))
            chosen = frame[(frame["machine"] == machine) & ((frame["label"] == 0) | of_kind)]
            ids = [part for _, part in chosen.groupby("id")]
            aucs = [roc_auc_score(part["label"], part["score"]) for part in ids]
            expected.append(np.average(aucs, weights=[part["label"].sum() for part in ids]))
            faulty = int(chosen["label"].sum())
        assert (clips, auc) == (faulty, pytest.approx(np.mean(expected), abs=1e-12))
    assert len(found) == 2 * 2 * 3


def test_a_cause_of_one_clip_and_an_id_without_normals() -> None:
    frame = with_faults(made_scores(0, machines=("fan",), anomaly=1))
    frame = frame[(frame["label"] == 1) | (frame["id"] == "00")]
    found = fault_aucs(frame, frame["label"].to_numpy()[None]).query("strength == 'all'")
    assert found["clips"].tolist() == [1] and found["auc"].tolist() == [1.0]


def test_report_shows_faults_where_scores_name_them(runs: Runs, tmp_path: Path) -> None:
    runs.write("u", frame=with_faults(made_scores(3)))
    runs.write("b")  # of an older version: the other run's causes are of the same clips
    text = "\n".join(map(str, section_blocks(runs.report()[0])))
    assert "AUC by fault in percent. SIMULATED" in text
    assert "crack" in text
    assert report.main([f"runs={runs.path}", f"out={tmp_path}", "--no-pictures"]) == 0
    table = pd.read_csv(tmp_path / "faults.csv")
    assert table["auc_percent"].between(0, 100).all()
    assert set(fault_results(runs.report()[0].systems)["system"]) == {"U", "B"}
    runs.write("u", data="dcase2020")
    assert "AUC by fault" not in "".join(map(str, section_blocks(runs.report()[0])))
