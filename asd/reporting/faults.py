"""Which faults a system hears: AUC by cause and strength, where the scores name causes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from asd.documents.blocks import CellLines, Line, Table, plain_row
from asd.reporting.systems import System
from asd.scoring.metrics import machine_order
from asd.scoring.tables import percent

KEYS = ["machine", "cause", "strength"]


def fault_aucs(clips: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    """AUC of the clips with each cause against all normal clips of their machine ID.

    Args:
        clips: test clips with machine, id, label, cause (missing: none) and strength.
        scores: [trainings, clips] of one system.

    Returns:
        machine, cause, strength, clips, auc: mean over clips and trainings, a fraction. Strength is
        ``all``, ``weak`` (up to the median over all faults) or ``clear``.
    """
    clips = clips.reset_index(drop=True)
    faulty = clips[clips["cause"].notna()].assign(auc=np.nan)
    for _, of_id in clips.groupby(["machine", "id"]):
        own = of_id.index.intersection(faulty.index)
        ahead = scores[:, own, None] - scores[:, None, of_id.index[of_id["label"] == 0]]
        if ahead.size:
            faulty.loc[own, "auc"] = ((ahead > 0) + 0.5 * (ahead == 0)).mean(axis=(0, 2))
    weak = faulty["strength"] <= clips["strength"].median()
    halves = faulty.assign(strength=np.where(weak, "weak", "clear"))
    both = pd.concat([faulty.assign(strength="all"), halves]).dropna(subset="auc")
    return both.groupby(KEYS)["auc"].agg(clips="size", auc="mean").reset_index()


def fault_results(systems: Mapping[str, System]) -> pd.DataFrame:
    """``fault_aucs`` of all systems, of the same clips; empty where no run's scores name causes."""
    frames = []
    runs = [run.scores for system in systems.values() for run in system.runs]
    known = [scores for scores in runs if "cause" in scores and scores["cause"].notna().any()]
    for label, system in systems.items() if known else ():
        scores = np.stack([run.scores["score"].to_numpy() for run in system.runs])
        frames.append(fault_aucs(known[0], scores).assign(system=label))
    columns = ["system", *KEYS, "clips", "auc"]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def fault_tables(systems: Mapping[str, System], label: str) -> list[Table]:
    """A row a machine type and cause, a column a system; none where scores name no causes."""
    results = fault_results(systems)
    labels = list(results["system"].unique())
    rows: list[list[CellLines]] = []
    for machine in machine_order(results["machine"]):
        for cause, of in results[results["machine"] == machine].groupby("cause"):
            head = plain_row(machine, str(cause), str(of["clips"].max()))
            rows.append([*head, *(_cell(of[of["system"] == one]) for one in labels)])
    notes = [
        "Percent: clips with this fault against all normal clips of their machine ID, mean over "
        "clips and trainings; w, c: the weaker and the clearer half of all faults. No intervals: "
        "with few clips a difference may be chance."
    ]
    header, title = ["machine", "fault", "clips", *labels], f"AUC by fault in percent. {label}"
    return [Table(header, rows, title, 2, notes, folded="AUC by fault")] if rows else []


def _cell(results: pd.DataFrame) -> CellLines:
    by = dict(zip(results["strength"], results["auc"], strict=True))
    halves = [f"{name[0]} {100 * by[name]:.0f}" for name in ("weak", "clear") if name in by]
    return [Line(percent(by["all"]), "value"), Line(" ".join(halves), "interval")]
