"""From a checkpoint and recordings to scores and verdicts: what a plant runs on a new clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asd.composition import build_known, check_known
from asd.cores import cores
from asd.data.audio import Channel, ClipFacts, Recording
from asd.data.clip_files import parse_name
from asd.data.manifest import SPLITS
from asd.data.scan import warn_of
from asd.data.threads import in_threads
from asd.data.windows import Windows
from asd.errors import AsdError, shown
from asd.features import Features, clip_features
from asd.frontends.frontend import FrontEnd
from asd.models.detector import load_detector
from asd.options import check_choice, check_number, check_whole, from_config
from asd.scoring.calibration import Calibration, CalibrationOptions, Threshold
from asd.scoring.scorer import ScoredClips, score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

log = logging.getLogger(__name__)

# Of checkpoints from before they said how they score.
_EARLIER = {
    "score": "mse", "vectors": None, "back_end": None, "bank": None, "max_fpr": 0.1,
    "batch_frames": 8000, "form": "auto",
}  # fmt: skip
COLUMNS = ["file", "score", "percentile", "p_value", "verdict", "state"]
ERROR = "error: "  # how the state of a recording begins that cannot be used
# Recordings whose features are in memory at a time: 64 MB of U's.
_AT_A_TIME = 512


@dataclass(frozen=True)
class RecordingOptions:
    """What a user says of recordings: the options of ``python -m asd.score``.

    Args:
        clipped: with a larger part of its samples at full scale a recording is clipped.
        class_name: of which machine (``fan``), or ``fan/00``, all are; None: as their paths say.
        channel: of files with several; None: as in training.
        resample: take recordings of a lower rate than the model's too, which lack its upper bands.
        false_alarms, rule: of the threshold; None: as the model was told.
    """

    clipped: float
    class_name: str | None = None
    channel: Channel = None
    resample: bool = False
    false_alarms: float | None = None
    rule: str | None = None


class _Heard(NamedTuple):
    """A recording that was read: its features [frames, bands], or why it gets no score."""

    state: str
    facts: ClipFacts | None = None
    values: np.ndarray | None = None


class RecordingScorer:
    """A trained model that checks and scores recordings as its run did.

    Args:
        checkpoint: ``model.ckpt`` of a run's model (``best.ckpt`` and ``last.ckpt`` do too).
        options: what the recordings are.
        allowed: classes and functions from outside this package that the checkpoint may name.

    Raises:
        AsdError: the checkpoint cannot be used, or not with these options.
    """

    def __init__(
        self, checkpoint: Path, options: RecordingOptions, allowed: Collection[str] = ()
    ) -> None:
        self.checkpoint, self.options = checkpoint, options
        self.detector = load_detector(checkpoint, allowed)
        recipe = self.recipe = self.detector.recipe
        self.scoring = _scoring(checkpoint, recipe, allowed)
        self.frontend: FrontEnd = build_known(recipe.get("frontend"), "frontend", allowed)
        self.windows: Windows = build_known(recipe.get("window"), "window", allowed)
        self.calibration = Calibration(self.detector.calibration)
        self.machine_ids = [(str(one[0]), str(one[1])) for one in recipe["ids"] if len(one) == 2]
        self.longest = recipe.get("longest_seconds", 1e9)  # earlier checkpoints do not say
        check_number(f"{checkpoint}: longest_seconds", self.longest, 0)
        if self.scoring.back_end is not None and not self.detector.banks:
            raise AsdError(f"{checkpoint}: lacks its back end, which model.ckpt has")
        given = options.channel
        self.channel: Channel = recipe.get("channel") if given is None else given
        if self.channel not in (None, "mean"):
            check_whole("channel", self.channel, 0)
        check_number("--clipped", options.clipped, 0, 1)
        if options.class_name is not None:
            ids = map("/".join, self.machine_ids)
            known = [*recipe["classes"], *self.detector.banks, *recipe["machines"], *ids]
            check_choice("--class", options.class_name, list(dict.fromkeys(known)))
        if options.false_alarms is not None:
            self.calibration.normals("", "")  # refuses where there is none
        self.threshold = cache(self._threshold)

    def score(
        self, files: Sequence[Path], take: Callable[[pd.DataFrame, ScoredClips | None], object]
    ) -> None:
        """Scores and verdicts, some hundred recordings at a time, in their order.

        At the end, warnings say what is odd about the recordings, as in training.

        Args:
            files: the recordings.
            take: called with a row a file, ``COLUMNS`` first: what cannot be told is NaN, or an
                empty verdict; and with those that have a score.

        Raises:
            AsdError: the class of a recording is needed, and neither given nor said by its path; or
                the parts of the checkpoint do not fit each other.
        """
        table = pd.DataFrame([self.whose(file) for file in files], columns=["machine", "id"])
        table.insert(0, "path", [shown(file) for file in files])
        self._check_classes(table)
        for whose in dict.fromkeys(_pairs(table)):  # before hours of scoring
            self.threshold(*whose)
        facts: dict[str, ClipFacts] = {}

        def read(row: int) -> _Heard:
            return self._read(files[row], table["machine"].iloc[row])

        def done(begin: int, heard: list[_Heard]) -> None:
            part = table.iloc[begin : begin + len(heard)].reset_index(drop=True)
            facts.update({n: h.facts for n, h in zip(part["path"], heard, strict=True) if h.facts})
            with _as_it_says(self.checkpoint):
                judged = self._judged(part, heard)
            take(*judged)

        rows = range(len(files))
        parts = {at: rows[at : at + _AT_A_TIME] for at in rows[::_AT_A_TIME]}
        in_threads(read, parts, cores(), "recordings", done)
        warn_of("these recordings", facts, self.frontend.rate)

    def _read(self, file: Path, machine: str) -> _Heard:
        """The features of a recording, or its state."""
        if machine and self.recipe["machines"] and machine not in self.recipe["machines"]:
            return _Heard(f"wrong machine: {machine}, not {', '.join(self.recipe['machines'])}")
        try:
            recording = Recording.read(file, self.channel)
            facts, rate = recording.facts, self.frontend.rate
            seconds = facts.samples / facts.rate
            if facts.peak == 0:
                return _Heard("silent", facts)
            if (share := recording.clipped()) > self.options.clipped:
                return _Heard(f"clipped: {100 * share:.2g} % of the samples at full scale", facts)
            if facts.rate < rate and not self.options.resample:
                return _Heard(f"wrong rate: {facts.rate} Hz, below {rate}; see --resample", facts)
            if self.windows.cover == "first" and seconds > self.longest:
                unheard = f"trained on at most {self.longest:.4g} s, the rest would not be heard"
                return _Heard(f"wrong length: {seconds:.4g} s, {unheard}", facts)
            with _as_it_says(self.checkpoint):
                values = clip_features(self.frontend, recording, "float32")
        except AsdError as error:
            return _Heard(f"{ERROR}{error}")
        if len(values) < self.recipe["frames"]:
            window = f"a window of {self.recipe['frames']} frames"
            return _Heard(f"wrong length: {seconds:.4g} s, shorter than {window}", facts)
        return _Heard("scored", facts, values)

    def _judged(
        self, table: pd.DataFrame, heard: list[_Heard]
    ) -> tuple[pd.DataFrame, ScoredClips | None]:
        """The rows of ``score``."""
        states = [one.state for one in heard]
        rows = [row for row, one in enumerate(heard) if one.values is not None]
        scored = None
        try:
            scored = self._scored(table, rows, heard) if rows else None
        except AsdError:  # of one of them: it costs its own line alone
            for row in list(rows):
                try:
                    self._scored(table, [row], heard)
                except AsdError as error:
                    states[row] = f"{ERROR}{error}"
                    rows.remove(row)
            scored = self._scored(table, rows, heard) if rows else None
        scores = dict(zip(rows, scored.table["score"] if scored else (), strict=True))
        answers = [
            self._answer(states[row], machine, machine_id, scores.get(row))
            for row, (machine, machine_id) in enumerate(_pairs(table))
        ]
        judged = pd.DataFrame(answers, columns=COLUMNS[1:])
        judged.insert(0, "file", table["path"])
        return judged, scored

    def _answer(
        self, state: str, machine: str, machine_id: str, score: float | None
    ) -> dict[str, Any]:
        """``COLUMNS`` of a recording, those that can be told."""
        if score is None:
            return {"verdict": "", "state": state}
        answer: dict[str, Any] = {"score": score, "verdict": "", "state": state}
        if self.machine_ids and machine_id and (machine, machine_id) not in self.machine_ids:
            answer["state"] = f"scored, but ID {machine_id} was not trained"
        if not self.calibration.scores:
            return answer
        answer["percentile"] = self.calibration.percentile(machine, machine_id, score)
        answer["p_value"] = self.calibration.p_value(machine, machine_id, score)
        bank, _ = self.calibration.normals(machine, machine_id)
        if bank != f"{machine}/{machine_id}":
            answer["state"] += f", against normal clips of {bank}"
        if (limit := self.threshold(machine, machine_id)) is not None:
            answer["verdict"] = "ALARM" if score > limit.value else "OK"
        return answer

    def _scored(self, table: pd.DataFrame, rows: list[int], heard: list[_Heard]) -> ScoredClips:
        clips = table.iloc[rows].assign(label=-1).reset_index(drop=True)
        arrays = [values for row in rows if (values := heard[row].values) is not None]
        frames = np.array([len(values) for values in arrays], dtype=np.int64)
        index = self.windows.starts(self.recipe["frames"], frames, list(clips["path"]))
        features = Features(np.concatenate(arrays), frames)
        numbers = np.array([self._class_number(*whose) for whose in _pairs(clips)])
        return score_clips(self.detector, self.scoring, clips, features, index, numbers, cores())

    def _threshold(self, machine: str, machine_id: str) -> Threshold | None:
        """Where there is one; that there is none is said once, or refused if it was asked for."""
        if not self.calibration.scores:
            return None
        told = from_config(CalibrationOptions, "calibration", self.recipe.get("calibration", {}))
        asked, rule = self.options.false_alarms, self.options.rule or told.rule
        rate = told.false_alarms if asked is None else asked
        try:
            return self.calibration.threshold(machine, machine_id, rate, rule)
        except AsdError as error:
            if asked is not None:
                raise
            log.warning("no verdicts: %s; see --false-alarms", error)
            return None

    def whose(self, file: Path) -> tuple[str, str]:
        """Machine type and ID of a recording, as far as the user, its path or the model tell."""
        only = self.recipe["machines"][0] if len(self.recipe["machines"]) == 1 else ""
        if self.options.class_name is not None:
            machine, _, machine_id = self.options.class_name.partition("/")
        else:
            split, parsed = file.absolute().parent, parse_name(file.name)
            named = split.name in SPLITS and parsed is not None
            machine = split.parent.name if named else only
            machine_id = parsed[0] if named and parsed else ""
        if not machine_id and len(self.machine_ids) == 1 and self.machine_ids[0][0] == machine:
            machine_id = self.machine_ids[0][1]
        return machine, machine_id

    def _class_number(self, machine: str, machine_id: str) -> int:
        """Among the classes of the detector; -1: none of them."""
        classes = self.recipe["classes"]
        names = [name for name in (f"{machine}/{machine_id}", machine) if name in classes]
        return classes.index(names[0]) if names else -1

    def _check_classes(self, table: pd.DataFrame) -> None:
        """Refuse recordings of which nobody says what the score needs to know."""
        choices = [] if self.scoring.score not in OF_CLASSES else self.recipe["classes"]
        if len(self.detector.banks) > 1:
            choices = list(self.detector.banks)
        needed = "id" if any("/" in choice for choice in choices) else "machine"
        unknown = table["path"][table[needed] == ""]
        if choices and len(unknown):
            raise AsdError(
                f"{unknown.iloc[0]}: its path does not name its machine (MACHINE/test/"
                "normal_id_00_1.wav), with whose training clips this detector compares it: "
                f"--class NAME, one of {', '.join(choices)}"
            )


def _pairs(clips: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(clips["machine"], clips["id"], strict=True)


def _scoring(checkpoint: Path, recipe: dict[str, Any], allowed: Collection[str]) -> ScoringOptions:
    """How a checkpoint says that it scores."""
    if "scoring" not in recipe:
        log.warning("%s does not say how it scores (an earlier version): mse", checkpoint)
    if not isinstance(recipe.get("scoring", {}), dict):
        raise AsdError(f"{checkpoint}: cannot be used as a checkpoint: its recipe lacks scoring")
    scoring = {**_EARLIER, **recipe.get("scoring", {})}
    for name in (scoring["score"], scoring["vectors"]):
        if "." in str(name):
            check_known(name, "scoring", allowed)
    if scoring["back_end"] is not None:
        build_known(scoring["back_end"], "scoring", allowed)
    return from_config(ScoringOptions, "scoring", scoring)


@contextmanager
def _as_it_says(checkpoint: Path) -> Iterator[None]:
    """Around what is computed with a checkpoint's options and tensors, which may be any."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise AsdError(
            f"{checkpoint}: these recordings cannot be scored with it ({error!r:.300})"
        ) from error
