"""From a checkpoint and recordings to scores and verdicts: what a plant runs on a new clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile

from asd.composition import build_known, check_known
from asd.cores import cores
from asd.data.audio import Channel, ClipFacts, Recording
from asd.data.clip_files import parse_name
from asd.data.manifest import SPLITS, content_hash
from asd.data.scan import warn_of
from asd.data.threads import in_threads
from asd.data.windows import Windows
from asd.errors import AsdError, shown
from asd.features.part import Features
from asd.features.store import clip_features
from asd.frontends.frontend import FrontEnd
from asd.models.detector import load_detector
from asd.models.scoring_form import scoring_form
from asd.options import check_choice, check_number, check_whole, from_config
from asd.scoring.calibration import CalibrationOptions, Threshold, normals_of
from asd.scoring.scorer import ClipSet, ScoredClips, score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.vector_files import VectorNetwork
from asd.scoring.window_scores import OF_CLASSES

log = logging.getLogger(__name__)

COLUMNS = ["file", "score", "percentile", "p_value", "verdict", "state"]
SCORED = "scored"  # the state of one that has a score
ERROR = "error: "  # how the state of a recording begins that cannot be used
# Recordings whose features are in memory at a time: 64 MB of U's.
_AT_A_TIME = 512


@dataclass(frozen=True)
class RecordingOptions:
    """As ``python -m asd.score --help`` has it; None: as the paths say, or as in training."""

    clipped: float
    class_name: str | None = None
    channel: Channel = None
    resample: bool = False
    false_alarms: float | None = None
    rule: str | None = None


class _Heard(NamedTuple):
    """A recording: whose it is; if it can be scored, ``SCORED`` and features [frames, bands]."""

    path: str
    machine: str
    id: str
    state: str
    facts: ClipFacts | None = None
    features: np.ndarray | None = None


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
        content = checkpoint.read_bytes()
        self.hash = content_hash(content)  # a model's name, wherever it lies
        self.megabytes = len(content) / 1e6
        recipe = self.recipe = self.detector.recipe
        with _as_it_says(checkpoint):
            self._ready = scoring_form(self.detector)  # once, not for every recording
            self.scoring = _scoring(recipe["scoring"], allowed)
            network = self.scoring.function() if isinstance(self.scoring.vectors, dict) else None
            if isinstance(network, VectorNetwork) and network.version != recipe.get("vectors"):
                raise AsdError(f"{network.file}: another network made the vectors of {checkpoint}")
            self.frontend: FrontEnd = build_known(recipe["frontend"], "frontend", allowed)
            self.windows: Windows = build_known(recipe["window"], "window", allowed)
            self.longest = float(recipe["longest_seconds"])
            self.machine_ids = [(str(machine), str(own)) for machine, own in recipe["ids"]]
            per_id, fitted = self.scoring.per_id, self.scoring.back_end is not None
            self.banks = list(map(str, self.detector.scales if per_id else self.detector.banks))
            # What must be known of a recording; of nothing else the score depends.
            classes = recipe["classes"] if self.scoring.score in OF_CLASSES else []
            self.choices = self.banks if len(self.banks) > 1 else classes
        if (per_id and not self.banks) or (fitted and not self.detector.banks):
            raise AsdError(f"{checkpoint}: lacks its back end, which model.ckpt has")
        given = options.channel
        self.channel: Channel = recipe.get("channel") if given is None else given
        if self.channel not in (None, "mean"):
            check_whole("channel", self.channel, 0)
        check_number("--clipped", options.clipped, 0, 1)
        if options.class_name is not None:
            ids = map("/".join, self.machine_ids)
            known = [*recipe["classes"], *self.banks, *recipe["machines"], *ids]
            check_choice("--class", options.class_name, list(dict.fromkeys(known)))
        if options.false_alarms is not None:
            normals_of(self.detector.calibration, "", "")  # refuses where there is none
        self.threshold = cache(self._threshold)

    def score(
        self, files: Sequence[Path], take: Callable[[pd.DataFrame, ScoredClips | None], object]
    ) -> None:
        """Scores and verdicts, some hundred recordings at a time, in their order, then warnings.

        Args:
            take: called with a row a file, ``COLUMNS``: what cannot be told is NaN, or an empty
                verdict; and with those that have a score.

        Raises:
            AsdError: the parts of the checkpoint do not fit each other.
        """
        with _as_it_says(self.checkpoint):
            for one in dict.fromkeys(map(self.whose, files)):  # before hours of scoring
                self.threshold(*one)
        facts: dict[str, ClipFacts] = {}

        def done(_: int, heard: list[_Heard]) -> None:
            facts.update((one.path, one.facts) for one in heard if one.facts is not None)
            with _as_it_says(self.checkpoint):
                judged = self._judged(pd.DataFrame(heard, dtype=object).assign(label=-1))
            take(*judged)

        parts = {at: files[at : at + _AT_A_TIME] for at in range(0, len(files), _AT_A_TIME)}
        in_threads(self._heard, parts, cores(), "recordings", done)
        warn_of("these recordings", facts, self.frontend.rate)

    def score_one(self, file: Path) -> tuple[dict[str, Any], ScoredClips | None]:
        """A recording's row of ``score``, None for what is not known; and what it was made from."""
        answers: list[tuple[pd.DataFrame, ScoredClips | None]] = []
        self.score([file], lambda *answer: answers.append(answer))
        row = answers[0][0].iloc[0].to_dict()
        return {str(k): None if v != v or v == "" else v for k, v in row.items()}, answers[0][1]

    def score_samples(
        self, samples: np.ndarray, rate: int
    ) -> tuple[dict[str, Any], ScoredClips | None]:
        """What ``score_one`` says of a file of these samples, bit for bit, but for its name.

        ``samples`` [samples] or [samples, channels], int16 or floats of full scale 1; ``rate`` Hz.
        """
        with TemporaryDirectory() as folder:
            file = Path(folder) / "samples.wav"
            try:
                samples = np.asarray(samples)
                native = samples.dtype.newbyteorder("=")  # libsndfile knows no other
                subtype = {"i2": "PCM_16", "f4": "FLOAT", "f8": "FLOAT"}[native.str[1:]]
                soundfile.write(file, samples.astype(native), rate, subtype)
            except (TypeError, ValueError, LookupError, OverflowError, RuntimeError) as error:
                text = f"{getattr(samples, 'dtype', '')} {getattr(samples, 'shape', '')}"
                raise AsdError(f"samples: {text}, {rate} Hz cannot be a file: {error!r}") from error
            row, scored = self.score_one(file)
        row["state"] = row["state"].replace(row.pop("file"), "samples")
        return row, scored

    def _heard(self, file: Path) -> _Heard:
        """What ``file`` is."""
        machine, machine_id = self.whose(file)
        heard = partial(_Heard, shown(file), machine, machine_id)
        machines, frames = self.recipe["machines"], self.recipe["frames"]
        if machine and machines and machine not in machines:
            return heard(f"wrong machine: {machine}, not {', '.join(machines)}")
        of_ids = any("/" in choice for choice in self.choices)
        if self.choices and not (machine_id if of_ids else machine):
            unsaid = "its path does not say whose it is (MACHINE/test/normal_id_00_1.wav)"
            choices = ", ".join(self.choices)
            return heard(f"{ERROR}{shown(file)}: {unsaid}: --class NAME, one of {choices}")
        try:
            recording = Recording.read(file, self.channel)
            facts, rate = recording.facts, self.frontend.rate
            seconds, state = facts.samples / facts.rate, recording.fault(self.options.clipped)
            if not state and facts.rate < rate and not self.options.resample:
                state = f"wrong rate: {facts.rate} Hz, below {rate}; see --resample"
            elif not state and self.windows.cover == "first" and seconds > self.longest:
                unheard = f"trained on at most {self.longest:.4g} s, the rest would not be heard"
                state = f"wrong length: {seconds:.4g} s, {unheard}"
            if state:
                return heard(state, facts)
            with _as_it_says(self.checkpoint):
                values = clip_features(self.frontend, recording, "float32")
        except AsdError as error:
            return heard(f"{ERROR}{error}")
        if len(values) < frames:
            short = f"wrong length: {seconds:.4g} s, shorter than a window of {frames} frames"
            return heard(short, facts)
        return heard(SCORED, facts, values)

    def _judged(self, table: pd.DataFrame) -> tuple[pd.DataFrame, ScoredClips | None]:
        """The rows of ``score``, of recordings with their state and features."""
        try:
            scored = self.scored(table)
        except AsdError:  # of one of them: it costs its own line alone
            for row in table.index[table["state"] == SCORED]:
                try:
                    self.scored(table.loc[[row]])
                except AsdError as error:
                    table.loc[row, "state"] = f"{ERROR}{error}"
            scored = self.scored(table)
        answers = table[["path", "state"]].rename(columns={"path": "file"}).assign(verdict="")
        if scored is not None:
            clips = scored.table[["machine", "id", "score"]].itertuples(index=False)
            rows = answers.index[answers["state"] == SCORED]
            verdicts = pd.DataFrame([self._verdict(*clip) for clip in clips], rows)
            answers = verdicts.combine_first(answers)
        return answers.reindex(columns=COLUMNS), scored

    def scored(self, table: pd.DataFrame) -> ScoredClips | None:
        """Clips whose ``state`` is ``SCORED``, with path, machine, id, label, features; if any."""
        clips = table[table["state"] == SCORED].reset_index(drop=True)
        if clips.empty:
            return None
        frames = clips["features"].map(len).to_numpy(np.int64)
        index = self.windows.starts(self.recipe["frames"], frames, list(clips["path"]))
        features = Features(np.concatenate(list(clips["features"])), frames)
        numbers = np.array(list(map(self.class_number, clips["machine"], clips["id"])))
        some = ClipSet(clips, features, index, numbers)
        return score_clips(self._ready, self.scoring, some, cores())

    def _verdict(self, machine: str, machine_id: str, score: float) -> dict[str, Any]:
        """``COLUMNS`` of a recording that has a score, those that can be told."""
        row: dict[str, Any] = {"score": score, "state": SCORED}
        if machine_id and (machine, machine_id) not in self.machine_ids:
            row["state"] = f"{SCORED}, but ID {machine_id} was not trained"
        if not self.detector.calibration:
            return row
        normals = normals_of(self.detector.calibration, machine, machine_id)
        row |= {"percentile": normals.percentile(score), "p_value": normals.p_value(score)}
        if normals.bank != f"{machine}/{machine_id}":
            row["state"] += f", against normal clips of {normals.bank}"
        if limit := self.threshold(machine, machine_id):
            row["verdict"] = "ALARM" if score > limit.value else "OK"
        return row

    def _threshold(self, machine: str, machine_id: str) -> Threshold | None:
        """Where there is one; that there is none is said once, or refused if it was asked for."""
        if not self.detector.calibration:
            return None
        options = self.calibration_options()
        try:
            normals = normals_of(self.detector.calibration, machine, machine_id)
            return normals.threshold(options.false_alarms, options.rule)
        except AsdError as error:
            if self.options.false_alarms is not None:
                raise
            log.warning("no verdicts: %s; see --false-alarms", error)
            return None

    def calibration_options(self) -> CalibrationOptions:
        """As the model was told (earlier ones lack a part), or else asked for."""
        asked = {"false_alarms": self.options.false_alarms, "rule": self.options.rule}
        given = {name: value for name, value in asked.items() if value is not None}
        told = {"clips_per_hour": 1, "clipped": 1, **self.recipe.get("calibration", {})}
        return from_config(CalibrationOptions, "calibration", told | given)

    def whose(self, file: Path) -> tuple[str, str]:
        """Machine type and ID of a recording, as far as the user, its path or the model tell."""
        split, parsed = file.absolute().parent, parse_name(file.name)
        if self.options.class_name is not None:
            machine, _, machine_id = self.options.class_name.partition("/")
        elif parsed is not None and split.name in SPLITS:
            machine, machine_id = split.parent.name, parsed[0]
        else:
            machines = self.recipe["machines"]
            machine, machine_id = machines[0] if len(machines) == 1 else "", ""
        if not machine_id and len(self.machine_ids) == 1 and self.machine_ids[0][0] == machine:
            machine_id = self.machine_ids[0][1]
        return machine, machine_id

    def class_number(self, machine: str, machine_id: str) -> int:
        """Among the classes of the detector; -1: none of them."""
        classes = self.recipe["classes"]
        names = [name for name in (f"{machine}/{machine_id}", machine) if name in classes]
        return classes.index(names[0]) if names else -1


def _scoring(options: Mapping[str, Any], allowed: Collection[str]) -> ScoringOptions:
    """How a checkpoint says that it scores."""
    for part in map(options.get, ("score", "vectors", "back_end", "pooling")):
        if isinstance(part, dict):
            build_known(part, "scoring", allowed)
        elif "." in str(part):
            check_known(part, "scoring", allowed)
    return from_config(ScoringOptions, "scoring", options)


@contextmanager
def _as_it_says(checkpoint: Path) -> Iterator[None]:
    """Around what is computed with a checkpoint's options and tensors, which may be any."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise AsdError(f"{checkpoint}: cannot be used to score: {error!r:.300}") from error
