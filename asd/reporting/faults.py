"""Which faults a system hears: AUC by cause and strength, where the scores name causes."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from asd.documents.blocks import CellLines, Line, Table, plain_row
from asd.scoring.metrics import machine_order
from asd.scoring.tables import percent

if TYPE_CHECKING:
    from asd.reporting.sections import Section

KEYS = ["machine", "cause", "strength"]


def fault_aucs(clips: pd.DataFrame, scores: np.ndarray, confidence: float) -> pd.DataFrame:
    """AUC of the clips with each cause against all normal clips of their machine ID.

    Args:
        clips: test clips with machine, id, label, cause (missing: none) and strength.
        scores: [trainings, clips] of one system.
        confidence: of the interval: DeLong et al., Biometrics 44 (1988), of the mean over
            trainings; it says what other clips would change, not other trainings.

    Returns:
        machine, cause, strength, clips, auc, low, high (fractions). Strength is ``all``, ``weak``
        (up to the median over all faults) or ``clear``; low and high are missing where an ID has
        one clip of the kind or its scores do not overlap.
    """
    rows, middle = [], clips["strength"].median()
    for (machine, _), of_id in clips.reset_index(drop=True).groupby(["machine", "id"]):
        faulty = of_id[of_id["cause"].notna()].reset_index()
        low, high = scores[:, of_id.index[of_id["label"] == 0]], scores[:, faulty["index"]]
        ahead = high[:, :, None] - low[:, None, :]
        won = ((ahead > 0) + 0.5 * (ahead == 0)).mean(axis=0)  # [faulty, normal], over trainings
        for cause, of in faulty.groupby("cause"):
            weak = of["strength"] <= middle
            for strength, chosen in (("all", of), ("weak", of[weak]), ("clear", of[~weak])):
                if len(chosen) and won.shape[1]:
                    part = won[chosen.index]
                    rows.append((machine, cause, strength, len(part), part.mean(), _variance(part)))
    named = pd.DataFrame(rows, columns=[*KEYS, "clips", "auc", "variance"]).groupby(KEYS)
    frame = named[["clips", "auc", "variance"]].apply(_over_ids).reset_index()
    frame["clips"] = frame["clips"].astype(int)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * frame.pop("deviation")
    ends = {"low": frame["auc"] - reach, "high": frame["auc"] + reach}
    return frame.assign(**{name: end.clip(0, 1) for name, end in ends.items()})


def _variance(won: np.ndarray) -> float:
    """Of an AUC over clips, from who is ahead of whom, [anomalies, normals]."""
    if min(won.shape) < 2:
        return float("nan")
    parts = (won.mean(axis=1 - axis).var(ddof=1) / won.shape[axis] for axis in (0, 1))
    return float(sum(parts)) or float("nan")  # 0 would be an interval of no width


def _over_ids(ids: pd.DataFrame) -> pd.Series[float]:
    """One figure of those of the IDs, each weighted by its clips."""
    share = ids["clips"] / ids["clips"].sum()
    deviation = np.sqrt((share**2 * ids["variance"]).sum(skipna=False))
    auc = (share * ids["auc"]).sum()
    return pd.Series({"clips": ids["clips"].sum(), "auc": auc, "deviation": deviation})


def fault_results(section: Section) -> pd.DataFrame:
    """``fault_aucs`` of every system, below each other; empty where no run's scores name causes."""
    systems, frames = section.systems, []
    runs = [run.scores for system in systems.values() for run in system.runs]
    known = [scores for scores in runs if "cause" in scores and scores["cause"].notna().any()]
    for label, system in systems.items() if known else ():
        scores = np.stack([run.scores["score"].to_numpy() for run in system.runs])
        frame = fault_aucs(known[0], scores, section.resampling.confidence)
        frames.append(frame.assign(system=label))  # all runs of a section have the same clips
    columns = ["system", *KEYS, "clips", "auc", "low", "high"]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def fault_tables(section: Section) -> list[Table]:
    """A row a machine type and cause, a column a system; none where scores name no causes."""
    results = fault_results(section)
    labels = list(results["system"].unique())
    rows: list[list[CellLines]] = []
    for machine in machine_order(results["machine"]):
        for cause, of in results[results["machine"] == machine].groupby("cause"):
            head = plain_row(machine, str(cause), str(of["clips"].max()))
            cells = (_cell(of[of["system"] == label].to_dict("records")) for label in labels)
            rows.append([*head, *cells])
    level = f"{100 * section.resampling.confidence:g} %"
    notes = [
        "Percent: clips with this fault against all normal clips of their machine ID, mean over "
        f"clips and trainings; [{level} interval over clips after DeLong, none where an ID has "
        "one such clip or no overlap, too narrow near 0 and 100]; w, c: the weaker and the "
        "clearer half of all faults."
    ]
    title = f"AUC by fault in percent. {section.label}"
    table = Table(["machine", "fault", "clips", *labels], rows, title, 2, notes)
    return [table] if rows else []


def _cell(rows: list[dict[Any, Any]]) -> CellLines:
    by = {row["strength"]: row for row in rows}
    if not by:
        return [Line("missing", "missing")]
    lines = [Line(percent(by["all"]["auc"]), "value")]
    if not np.isnan(by["all"]["low"]):
        ends = f"[{100 * by['all']['low']:.1f}, {100 * by['all']['high']:.1f}]"
        lines.append(Line(ends, "interval"))
    halves = [f"{name[0]} {100 * by[name]['auc']:.0f}" for name in ("weak", "clear") if name in by]
    return [*lines, Line(" ".join(halves), "interval")]
