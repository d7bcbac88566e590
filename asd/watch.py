"""Score what arrives in a folder or a pipe: ``python -m asd.watch MODEL FOLDER``, ``MODEL -``"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections import defaultdict, deque
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd import progress
from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.options import check_number, check_whole
from asd.score import add_model_options, scorer_of

if TYPE_CHECKING:
    from asd.monitoring.drift import DriftMartingale
    from asd.monitoring.journal import Journal
    from asd.scoring.recordings import RecordingScorer

_HELP = """\
FOLDER: its sound files are scored once they are whole. The lines also go to FOLDER/watch.jsonl
(--out), the watch's memory: it may be killed at any moment, and the same command goes on.
- : raw 16-bit samples (PCM, little endian, no WAV) on standard input, cut into clips of --seconds,
each scored as the file of these samples would be. Without --out nothing is remembered.
A line a clip, as of asd.score, and: alarm: K of the machine's last N scored clips are over the
threshold; drift: what a bet has won that scores come from elsewhere than the calibration's, and
drifted once that has been 1 / --drift times the stake (docs/deploy.md).
"""


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 130 for Ctrl-C."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m asd.watch", epilog=_HELP, formatter_class=raw)
    add_model_options(parser)
    add = parser.add_argument
    add("source", metavar="FOLDER|-", help="what to watch")
    add("--alarm", nargs=2, type=int, default=(3, 5), metavar=("K", "N"), help="3 5")
    add("--drift", type=float, default=0.001, metavar="RATE",
        help="chance that drift is ever said of a machine that has none (%(default)s)")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="where the lines go beside standard output")
    add("--idle", type=float, default=600.0, metavar="SECONDS",
        help="without a clip until it is said that input stopped (%(default)s)")  # fmt: skip
    add("--settle", type=float, default=2.0, metavar="SECONDS",
        help="for which a file must not have changed to be whole (%(default)s)")  # fmt: skip
    add("--once", action="store_true", help="end when all files that are there have their lines")
    add("--seconds", type=float, default=10.0, help="of a clip of standard input (%(default)s)")
    add("--rate", type=int, help="of standard input in Hz; as the model's")
    add("--channels", type=int, default=1, help="of standard input (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        return exit_status(lambda: _watch(options))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _watch(options: argparse.Namespace) -> None:
    from asd.monitoring.journal import open_journal

    check_number("--drift", options.drift, 0, 1, above=True)
    for name in ("idle", "seconds", "settle"):
        check_number(f"--{name}", getattr(options, name), 0, above=name != "settle")
    check_whole("--channels", options.channels, 1)
    check_whole("--alarm: N", options.alarm[1], 1)
    check_whole("--alarm: K", options.alarm[0], 1, options.alarm[1])
    progress.quiet = True  # a bar a clip would only flicker
    folder = None if options.source == "-" else Path(options.source)
    if folder and not folder.is_dir():
        raise AsdError(f"{folder}: no such folder; a folder is watched, or - for standard input")
    out = options.out or (folder and folder / "watch.jsonl")
    scorer = scorer_of(options)
    with open_journal(out) if out else nullcontext() as journal:
        watch = _Watch(scorer, options, journal)
        if folder:
            watch.folder(folder)
        else:
            watch.pipe()


class _Watch:
    """Scores, what is known of each machine, and the journal, whose lines of this model count."""

    def __init__(self, scorer: RecordingScorer, options: Any, journal: Journal | None) -> None:
        self._options, self._journal, self._scorer = options, journal, scorer
        self._stopped = f"input stopped: nothing for {options.idle:g} s"
        # Of each machine, whether its last clips were over the threshold; and its drift.
        self._over: dict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=options.alarm[1]))
        self._drifts: dict[str, DriftMartingale] = {}
        for entry in journal.entries() if journal else ():
            if entry.get("model") == self._scorer.hash:
                self._judged(entry["machine"], entry["score"], entry["verdict"])

    def folder(self, folder: Path) -> None:
        """Score the files of a folder, whose journal has those that were."""
        from asd.monitoring.arrivals import Arrival, folder_arrivals

        assert self._journal is not None
        done = [Arrival._make(map(entry.get, Arrival._fields)) for entry in self._journal.entries()]
        given = self._options
        for arrival in folder_arrivals(folder, given.settle, given.idle, done, given.once):
            if arrival is None:
                self._say({"state": self._stopped})
            else:
                file = folder / arrival.file
                self._clip(arrival._asdict(), self._scorer.score_one(file)[0], file)

    def pipe(self) -> None:
        """Score standard input until it ends."""
        import numpy as np

        from asd.monitoring.arrivals import pipe_clips

        given = self._options
        rate = self._scorer.frontend.rate if given.rate is None else given.rate
        check_whole("--rate", rate, 1)
        warnings = logging.getLogger("asd.data.scan")
        frame, heard = 2 * given.channels, 0.0
        size = frame * max(1, round(given.seconds * rate))
        for clip in pipe_clips(sys.stdin.buffer, size, given.idle):
            at = {"file": "-", "at_seconds": round(heard, 3)}
            if not heard and (clip or b"")[:4] in (b"RIFF", b"RF64", b"FORM", b"fLaC"):
                raise AsdError("-: this is a WAV, AIFF or FLAC file, not raw PCM: watch its folder")
            left = len(clip or b"") / frame / rate
            heard += left
            if clip is None:
                self._say({**at, "state": self._stopped})
            elif len(clip) < size:
                self._say({**at, "state": f"input ended; {left:.3g} s are left, no clip"})
            else:
                samples = np.frombuffer(clip, "<i2").reshape(-1, given.channels)
                self._clip(at, self._scorer.score_samples(samples, rate)[0], Path("-"))
                warnings.setLevel(logging.ERROR)  # the format has been said, and does not change
        warnings.setLevel(logging.NOTSET)

    def _clip(self, arrival: dict[str, Any], row: dict[str, Any], file: Path) -> None:
        """Say what is known of a clip: where it came from, its row of the scorer's, and whose."""
        machine = "/".join(self._scorer.whose(file))
        judged = self._judged(machine, row["score"], row["verdict"])
        self._say({**row, **arrival, "machine": machine, **judged, "model": self._scorer.hash})

    def _judged(self, machine: str, score: float | None, verdict: str | None) -> dict[str, Any]:
        """Whether the machine's last clips are an alarm, and whether it drifts; None: not known."""
        from asd.monitoring.drift import DriftMartingale

        if machine not in self._drifts:
            # Its own alone, or else its past: against those of others it would drift at once.
            normals = map(float, self._scorer.detector.calibration.get(machine, ()))
            self._drifts[machine] = DriftMartingale(normals)
        drift, over = self._drifts[machine], self._over[machine]
        if score is None:
            return dict.fromkeys(("alarm", "drift", "drifted"))
        over.append(verdict == "ALARM")
        drift.add(score)
        alarm = sum(over) >= self._options.alarm[0] if verdict else None
        drifted = drift.highest >= 1 / self._options.drift
        return {"alarm": alarm, "drift": float(f"{drift.value:.4g}"), "drifted": drifted}

    def _say(self, entry: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **entry}, allow_nan=False)
        if self._journal:
            self._journal.add(line)
        print(line, flush=True)


if __name__ == "__main__":
    program(main)
