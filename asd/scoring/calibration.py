"""Thresholds and p-values, from the scores of normal clips that were held out.

These clips neither trained, nor chose the epoch, nor was a back end fitted to them: to the detector
they are as new as the next normal recording, and so is their share above a threshold.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asd.data.audio import Channel, Recording
from asd.errors import AsdError, first_lines
from asd.options import check_choice, check_number

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

RULES = ("conformal", "gamma", "quantile")


@dataclass(frozen=True)
class CalibrationOptions:
    """See ``conf/calibration/default.yaml``; ``AsdError`` names one that cannot be."""

    fraction: float
    rule: str
    false_alarms: float
    clips_per_hour: float
    clipped: float

    def __post_init__(self) -> None:
        check_number("calibration.fraction", self.fraction, 0, 0.9)
        check_choice("calibration.rule", self.rule, RULES)
        check_number("calibration.false_alarms", self.false_alarms, 0, 0.999, above=True)
        check_number("calibration.clips_per_hour", self.clips_per_hour, 0, above=True)
        check_number("calibration.clipped", self.clipped, 0, 1)


class Threshold(NamedTuple):
    """A score above ``value`` is an alarm; ``promise`` says what that is worth."""

    value: float
    promise: str


class Normals(NamedTuple):
    """Held-out normal clips that a clip is compared with."""

    bank: str  # whose: ``fan/00``, ``fan`` or ``all``
    scores: NDArray[np.float64]  # [clips] theirs, ascending, of at least one clip

    def p_value(self, score: float) -> float:
        """(1 + normal clips with this score or more) / (n + 1).

        It is at most alpha with a chance of at most alpha, if the clip is normal and exchangeable
        with these (Vovk et al., Algorithmic Learning in a Random World, 2005).
        """
        return float(1 + (self.scores >= score).sum()) / (len(self.scores) + 1)

    def percentile(self, score: float) -> float:
        """Percent of the normal clips with a lower score."""
        return 100 * float((self.scores < score).mean())

    def threshold(self, false_alarms: float, rule: str = "conformal") -> Threshold:
        """Above which score a clip is an alarm.

        Args:
            false_alarms: alpha, the part of normal clips that may be alarms.
            rule: ``conformal``: the ceil((n+1)(1-alpha))-th smallest score, so that a clip is an
                alarm where its p-value is at most alpha; ``quantile``: of the scores; ``gamma``:
                of the gamma distribution fitted to them (the organisers' baselines since 2021).

        Raises:
            AsdError: there are too few clips, or no such distribution; says how many it takes.
        """
        count, percent = len(self.scores), f"{100 * false_alarms:g} %"
        promise = f"the {rule} rule at {100 - 100 * false_alarms:g} % promises nothing"
        if rule == "quantile":
            return Threshold(float(np.quantile(self.scores, 1 - false_alarms)), promise)
        if rule == "gamma":
            return Threshold(_gamma(self, 1 - false_alarms), promise)
        # Rounded, so that 1 of 10 clips is beyond 0.1 whatever that is in binary.
        beyond = math.floor(round(false_alarms * (count + 1), 9))
        if beyond < 1:
            best = f"which can promise {100 / (count + 1):.3g} % false alarms at best"
            needed = f"{percent} needs {math.ceil(round(1 / false_alarms, 9)) - 1} clips"
            raise AsdError(f"{self.bank}: {count} normal clips were held out, {best}; {needed}")
        stay = f"if normal clips stay like the {count} held out"
        promise = f"at most {percent} false alarms on average, {stay}"
        promise += "" if "/" in self.bank else f", pooled over {self.bank}: none were of this ID"
        return Threshold(float(self.scores[count - beyond]), promise)


def scores_by_id(clips: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Of a table of normal clips with machine, id and score: by ``machine/ID``, ascending."""
    groups = clips.groupby(["machine", "id"])["score"]
    return {f"{m}/{i}": np.sort(scores.to_numpy(np.float64)) for (m, i), scores in groups}


def left_out(
    names: Sequence[str], root: Path, channel: Channel, clipped: float, known: Iterable[int]
) -> tuple[dict[str, str], str]:
    """Clips below ``root`` that must not calibrate, with the reason; and a warning, if there are.

    ``clipped``: the part of the samples that may be at full scale; ``known``: hashes of the clips
    that trained the detector or chose its epoch.
    """
    seen = dict.fromkeys(known, "trained on: its p-value would be too small")
    reasons: dict[str, str] = {}
    for name in names:
        recording = Recording.read(root / name, channel)
        content = int(recording.facts.hash, 16)
        if reason := seen.get(content) or recording.fault(clipped):
            reasons[name] = reason
        seen.setdefault(content, f"twice: it is a copy of {name}")
    kinds = Counter(reason.split(":")[0] for reason in reasons.values())
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    lines = first_lines(f"  {name}: {reason}" for name, reason in reasons.items())
    if not reasons:
        return reasons, ""
    said = f"{len(reasons)} of {len(names)} clips do not calibrate ({counts}):\n{lines}"
    log.warning("%s", said)
    return reasons, said


def normals_of(calibration: Mapping[str, Any], machine: str, machine_id: str) -> Normals:
    """Those of the clip's own ID; where none were held out, of its type, else of all machines.

    ``calibration``: ``scores_by_id``, as arrays or tensors on the CPU (``Detector.calibration``);
    ``AsdError`` where it has none at all.
    """
    of_type = [name for name in calibration if name.split("/")[0] == machine]
    own = f"{machine}/{machine_id}"
    for bank, names in ((own, [own]), (machine, of_type), ("all", list(calibration))):
        if found := [np.asarray(calibration[name]) for name in names if name in calibration]:
            return Normals(bank, np.sort(np.concatenate(found)))
    none = "this detector has no calibration: no normal clips were held out in training"
    raise AsdError(f"{none}; train it with calibration.fraction=0.2, say")


def decisions(
    scores: pd.DataFrame, calibration: Mapping[str, Any], options: CalibrationOptions
) -> list[dict[str, Any]]:
    """What comes of a run's thresholds on its scored clips: a row a machine ID, as plain values.

    Returns:
        machine, id, threshold, clips, promise; precision, recall, f1 and false_alarm_rate as
        fractions, None where undefined. Where there is no threshold, machine, id and promise alone,
        which then says why.
    """
    rows: list[dict[str, Any]] = []
    for name, clips in scores.groupby(["machine", "id"]):
        machine, machine_id = map(str, name)
        row: dict[str, Any] = {"machine": machine, "id": machine_id}
        rows.append(row)
        try:
            normals = normals_of(calibration, machine, machine_id)
            limit = normals.threshold(options.false_alarms, options.rule)
        except AsdError as error:
            row["promise"] = f"no threshold: {error}"
            continue
        alarm, label = clips["score"] > limit.value, clips["label"]
        false, true = (int((alarm & (label == value)).sum()) for value in (0, 1))
        normal, anomaly = (int((label == value).sum()) for value in (0, 1))
        row |= {"threshold": limit.value, "clips": len(normals.scores), "promise": limit.promise}
        row |= {"precision": _share(true, true + false), "recall": _share(true, anomaly)}
        row |= {"f1": _share(2 * true, true + false + anomaly) if anomaly else None}
        row |= {"false_alarm_rate": _share(false, normal)}
    return rows


def commission(
    clips: pd.DataFrame, calibration: Mapping[str, Any], options: CalibrationOptions
) -> list[str]:
    """What these normal clips (a manifest's) can promise of each machine ID, in sentences.

    By the conformal rule, the only one that can; where n clips held out cannot promise the rate
    wanted, 1 / (n + 1) stands for it. It is said, and that verdicts are by another rule.
    """
    sentences = []
    for name, own in clips.groupby(["machine", "id"]):
        machine, machine_id = map(str, name)
        normals = normals_of(calibration, machine, machine_id)
        rate, lacking = options.false_alarms, ""
        try:
            limit = normals.threshold(rate)
        except AsdError as error:
            rate = 1 / (len(normals.scores) + 1)
            limit = normals.threshold(rate)
            lacking = f" {error}: record more, or hold out more."
        if options.rule != "conformal":
            lacking += f" Verdicts are by calibration.rule={options.rule}, with another threshold."
        minutes = (own["samples"] / own["rate"]).sum() / 60
        alarms = f"{rate * options.clips_per_hour * 24 * 7:,.1f}".removesuffix(".0")
        own_name = f"{machine}/id_{machine_id}: from your {minutes:.3g} minutes"
        often = f"about {alarms} a week at {options.clips_per_hour:g} clips an hour.{lacking}"
        at = f"at a threshold of {limit.value:.4g}, {limit.promise}"
        sentences.append(f"{own_name}: {at}: {often}")
    return sentences


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _gamma(normals: Normals, level: float) -> float:
    """A quantile of the gamma distribution of these scores, by maximum likelihood."""
    from scipy.stats import gamma

    value, scores = math.nan, normals.scores
    if len(np.unique(scores)) > 2:  # there are three parameters
        with np.errstate(all="ignore"), suppress(RuntimeError, ValueError):  # scipy's FitError too
            value = float(gamma.ppf(level, *gamma.fit(scores)))
    if not math.isfinite(value):
        none = f"no gamma distribution fits the {len(scores)} normal clips held out"
        raise AsdError(f"{normals.bank}: {none}; use the rule quantile, or hold out more")
    return value
