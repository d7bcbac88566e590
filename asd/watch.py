"""Score what arrives, for as long as it does: ``python -m asd.watch MODEL FOLDER`` or ``MODEL -``"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError, Terminated
from asd.exit_status import exit_status, program
from asd.options import check_number, check_whole
from asd.signals import ENDINGS, stopped_by

if TYPE_CHECKING:
    from asd.monitoring.journal import Journal
    from asd.monitoring.machine_watch import MachineWatch
    from asd.scoring.recordings import RecordingScorer

_HELP = """\
FOLDER: its sound files are scored once they are whole, those that are there first. The lines also go
to FOLDER/watch.jsonl (--out), which is the watch's memory: it may be killed at any moment, and the
same command goes on; no file is left out and none gets two lines.
- : raw 16-bit samples (little endian) on standard input, cut into clips of --seconds, each scored as
the file of these samples would be.
A line a clip: score, p_value, verdict as asd.score has them; alarm: k of the machine's last n scored
clips are over the threshold; drift: a bet that the scores no longer come from where the calibration's
came from, drifted once it has won more than 1 / --drift times its stake (Ville's inequality).
"""


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 128 + a signal's."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m asd.watch", epilog=_HELP, formatter_class=raw)
    add = parser.add_argument
    add("model", help="a run's folder, a model.ckpt or its folder, or models:/NAME@ALIAS")
    add("source", metavar="FOLDER|-", help="what to watch")
    add("--alarm", default="3/5", metavar="K/N", help="alarm if K of the last N are over (3/5)")
    add("--false-alarms", type=float, metavar="RATE", help="of single clips; see asd.score")
    add("--drift", type=float, default=0.001, metavar="RATE", help="chance that drift is ever said "
        "of a machine that does not drift (%(default)s)")  # fmt: skip
    add("--class", dest="class_name", metavar="NAME", help="machine, or machine/ID; see asd.score")
    add("--clipped", type=float, default=0.001, metavar="PART", help="see asd.score (%(default)s)")
    add("--out", type=Path, metavar="FILE", help="where the lines go beside standard output")
    add("--idle", type=float, default=600.0, help="seconds without a clip until that is said (600)")
    add("--settle", type=float, default=2.0, help="seconds a file must not have changed for (2)")
    add("--once", action="store_true", help="end when all that is there has been scored")
    add("--seconds", type=float, default=10.0, help="of a clip of standard input (10)")
    add("--rate", type=int, help="of standard input in Hz; as the model's")
    add("--channels", type=int, default=1, help="of standard input (1)")
    add("--channel", help="of files and input with several: 0, 1, ... or mean")
    add("--tracking-uri", help="of the registry; as conf/tracking/mlflow.yaml says")
    add("--allow", action="append", default=[], metavar="package.module.NAME", help="see asd.score")
    options = parser.parse_args(arguments)
    try:
        with stopped_by(*ENDINGS):
            return exit_status(lambda: _watch(options))
    except Terminated as ended:
        return 128 + int(ended.args[0])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _watch(options: argparse.Namespace) -> None:
    from asd.monitoring.journal import opened
    from asd.monitoring.machine_watch import parse_alarm

    alarm = parse_alarm(options.alarm)
    for name, low in {"idle": 0, "settle": 0, "seconds": 0, "drift": 0}.items():
        high = 1 if name == "drift" else None
        check_number(f"--{name}", getattr(options, name), low, high, above=name != "settle")
    check_whole("--channels", options.channels, 1)
    piped = options.source == "-"
    folder = Path(options.source)
    if not piped and not folder.is_dir():
        raise AsdError(f"{folder}: no folder; what is watched is a folder, or - for samples")
    out = options.out or (None if piped else folder / "watch.jsonl")
    scorer = _scorer(options)
    if out is None:
        _Watch(scorer, alarm, options.drift, None).pipe(options)
        return
    with opened(out) as journal:
        watch = _Watch(scorer, alarm, options.drift, journal)
        if piped:
            watch.pipe(options)
        else:
            watch.folder(folder, options)


def _scorer(options: argparse.Namespace) -> RecordingScorer:
    from asd.scoring.recordings import RecordingOptions, RecordingScorer
    from asd.tracking.registered_models import model_file

    channel = int(options.channel) if (options.channel or "").isdigit() else options.channel
    given = RecordingOptions(
        options.clipped, options.class_name, channel, False, options.false_alarms
    )
    with TemporaryDirectory() as folder:
        file = model_file(options.model, options.tracking_uri, Path(folder))
        return RecordingScorer(file, given, options.allow)


class _Watch:
    """Scores, what has been said of each machine so far, and where the lines go.

    Args:
        scorer: of recordings.
        alarm, drift: see ``MachineWatch``.
        journal: earlier lines of this model go on counting; None: none are kept.
    """

    def __init__(
        self, scorer: RecordingScorer, alarm: tuple[int, int], drift: float, journal: Journal | None
    ) -> None:
        self._scorer, self._alarm, self._drift, self._journal = scorer, alarm, drift, journal
        self._machines: dict[str, MachineWatch] = {}
        for entry in journal.entries if journal else ():
            if entry.get("model") == scorer.content and entry.get("score") is not None:
                self._machine(str(entry["machine"])).add(entry["score"], entry["alarming"])

    def folder(self, folder: Path, options: argparse.Namespace) -> None:
        """Score the files of a folder, for ever unless ``--once``."""
        from asd.monitoring.arrivals import Arrival, FolderArrivals

        assert self._journal is not None
        fields = [[entry.get(name) for name in Arrival._fields] for entry in self._journal.entries]
        done = {Arrival(*one) for one in fields if None not in one}
        arrivals = FolderArrivals(folder, options.settle)
        last, said = time.monotonic(), False
        while True:
            whole, more = arrivals.look(done)
            for arrival in whole:
                self._clip(folder / arrival.file, arrival._asdict())
                done.add(arrival)
            if whole:
                last, said = time.monotonic(), False
            elif options.once and not more:
                return
            elif not said and time.monotonic() - last >= options.idle:
                self._say({"state": f"input stopped: nothing for {options.idle:g} s"})
                said = True
            time.sleep(min(0.5, options.settle / 4) or 0.05)

    def pipe(self, options: argparse.Namespace) -> None:
        """Score standard input until it ends."""
        from asd.monitoring.arrivals import pipe_clips

        rate = options.rate or self._scorer.frontend.rate
        check_whole("--rate", rate, 1)
        frame = 2 * options.channels
        size = frame * max(1, round(options.seconds * rate))
        clips: Iterator[bytes | None] = pipe_clips(sys.stdin.buffer, size, options.idle)
        with TemporaryDirectory() as folder:
            file, heard = Path(folder) / "clip.wav", 0.0
            for clip in clips:
                at = {"at_seconds": round(heard, 3)}
                if clip is None:
                    self._say({**at, "state": f"input stopped: nothing for {options.idle:g} s"})
                    continue
                heard += len(clip) / frame / rate
                if len(clip) < size:
                    left = f"; its last {heard - at['at_seconds']:.3g} s make no clip" if clip else ""
                    self._say({**at, "state": f"input ended{left}"})
                    continue
                # A file, so that all is read, checked and scored as any other recording.
                with wave.open(str(file), "wb") as sound:
                    sound.setparams((options.channels, 2, rate, 0, "NONE", ""))
                    sound.writeframes(clip)
                self._clip(file, at)

    def _machine(self, name: str) -> MachineWatch:
        from asd.monitoring.machine_watch import MachineWatch

        if name not in self._machines:
            normals: Any = ()
            with suppress(AsdError):  # no calibration: no drift either
                normals = self._scorer.calibration.normals(*name.split("/"))[1]
            self._machines[name] = MachineWatch(normals, self._alarm, self._drift)
        return self._machines[name]

    def _clip(self, file: Path, about: dict[str, Any]) -> None:
        rows: list[dict[str, Any]] = []
        self._scorer.score([file], lambda table, scored: rows.extend(table.to_dict("records")))
        row = {name: value for name, value in rows[0].items() if value == value and value != ""}
        row["machine"] = f"{row.get('machine', '')}/{row.pop('id', '')}"
        row.pop("file")
        row["alarming"] = row.get("verdict") == "ALARM"
        if "score" in row:
            row |= self._machine(row["machine"]).add(row["score"], row["alarming"])
        self._say({**about, **row, "model": self._scorer.content})

    def _say(self, entry: dict[str, Any]) -> None:
        import json

        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
        print(self._journal.add(entry) if self._journal else json.dumps(entry), flush=True)


if __name__ == "__main__":
    program(main)
