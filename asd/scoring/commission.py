"""What may be promised of machines of which a model knows normal recordings alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asd.scoring.calibration import Calibration, CalibrationOptions

if TYPE_CHECKING:
    import pandas as pd

HOURS_A_WEEK = 168


def commission(
    clips: pd.DataFrame, calibration: Calibration, options: CalibrationOptions
) -> list[dict[str, Any]]:
    """The conformal threshold of each machine ID, and what it promises: rows as plain values.

    Args:
        clips: all normal clips given, with the columns of ``asd.data.manifest``.
        calibration: of the models that they trained.
        options: the rate wanted, and how many clips an hour will be judged.

    Returns:
        machine, id, minutes recorded; the fields of the ``Threshold`` at the rate wanted, or at the
        least that the clips held out can promise, that rate (``false_alarms``) and alarms
        ``per_week``; ``least``, 1 / (clips + 1); ``needed``, the clips that the rate wanted takes.
    """
    rows = []
    for name, own in clips.groupby(["machine", "id"]):
        machine, machine_id = map(str, name)
        least = 1 / (len(calibration.normals(machine, machine_id)[1]) + 1)
        rate = max(least, options.false_alarms)
        limit = calibration.threshold(machine, machine_id, rate)
        minutes = float((own["samples"] / own["rate"]).sum()) / 60
        row = {"machine": machine, "id": machine_id, "minutes": minutes, **limit._asdict()}
        row |= {"false_alarms": rate, "least": least}
        row |= {"per_week": rate * options.clips_per_hour * HOURS_A_WEEK}
        row |= {"clips_per_hour": options.clips_per_hour}
        rows.append(row | {"needed": math.ceil(round(1 / options.false_alarms, 9)) - 1})
    return rows


def commission_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What ``commission`` gives in sentences, some for each machine ID."""
    texts = []
    for row in rows:
        lacking = row["needed"] > row["clips"]
        more = f"; the rate asked for takes {row['needed']}: record more, or hold out more"
        texts.append(
            f"{row['machine']}/id_{row['id']}: from your {row['minutes']:.3g} minutes: at a "
            f"threshold of {row['value']:.4g}, {row['promise']}: about {row['per_week']:,.4g} a "
            f"week at {row['clips_per_hour']:g} clips an hour. {row['clips']} clips held out can "
            f"promise {100 * row['least']:.3g} % at best{more if lacking else ''}."
        )
    return texts
