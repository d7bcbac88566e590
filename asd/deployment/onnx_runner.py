"""Score recordings with an exported model: ``python onnx_runner.py MODEL.onnx CLIP.wav ...``

Needs onnxruntime, numpy and soundfile, and nothing else of asd: copy it beside the model. One line
of JSON a clip, on standard output; the exit status is 0, or 2 where a clip could not be scored.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnxruntime
import soundfile


class ClipError(ValueError):
    """A clip, or what is said of it, that the model cannot be used on; says what to do."""


class OnnxRunner:
    """An exported model, with what its card says.

    Args:
        model: the file.
        threads: that it may use; 0: all cores.

    Raises:
        ValueError: it is no model that ``asd export`` wrote.
    """

    def __init__(self, model: str | Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(str(model), options)
            card = self.session.get_modelmeta().custom_metadata_map["asd"]
        except Exception as error:  # onnxruntime's have no common class
            raise ValueError(f"{model}: no model that asd export wrote ({error!s:.200})") from error
        self.card: dict[str, Any] = json.loads(card)

    def read(self, clip: str | Path | BinaryIO) -> np.ndarray:
        """Samples of a sound file: float32 [samples], of the channel that the model was trained on.

        Raises:
            ClipError: it cannot be read, has another rate, or more channels than were chosen.
        """
        if isinstance(clip, str | Path) and not Path(clip).is_file():
            raise ClipError("no such file (a pipe would be waited for)")
        try:
            with soundfile.SoundFile(clip) as sound:
                rate, promised, log = sound.samplerate, sound.frames, sound.extra_info
                if sound.format not in ("WAV", "WAVEX", "RF64", "FLAC", "AIFF"):
                    raise ClipError(f"{sound.format}: take the recording before compression")
                raw = sound.read(dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            raise ClipError(f"no readable sound file: {error}") from error
        # Of WAV and AIFF libsndfile counts what is there; 2^32 - 1 is the length of a stream.
        short = re.search(r"^ ?(data|SSND) : (?!4294967295)\d+ \(should be", log, re.MULTILINE)
        if short or promised != len(raw):
            raise ClipError(f"cut short, after {len(raw)} samples: copy it again")
        if rate != self.card["rate"]:
            raise ClipError(f"{rate} Hz, the model takes {self.card['rate']} Hz: convert it first")
        channel, count = self.card["channel"], raw.shape[1]
        if channel == "mean":
            return np.asarray(raw.mean(axis=1))
        if (channel is None and count > 1) or (channel or 0) >= count:
            wanted = "one" if channel is None else f"number {channel}"
            raise ClipError(f"{count} channels, the model was trained on {wanted}: pick it first")
        return np.ascontiguousarray(raw[:, channel or 0])

    def inputs(self, wave: np.ndarray, machine: str | None) -> dict[str, np.ndarray]:
        """What the graph takes; see ``score``."""
        machines = self.card["machines"]
        shortest, longest = self.card["shortest"], self.card["longest"]
        if machine is None and len(machines) == 1:
            machine = machines[0]
        if machine not in machines:
            raise ClipError(f"machine {machine}: must be one of {', '.join(machines)}")
        if not shortest <= len(wave) <= longest:
            raise ClipError(f"{len(wave)} samples, the model takes {shortest} to {longest}")
        if not np.abs(wave).max() <= 2**31:
            raise ClipError("has samples that are not finite, or absurd: export it again")
        if np.ptp(wave) == 0:
            raise ClipError("silent: all samples have one value, so that there is nothing to score")
        if np.abs(wave).max() <= 1 and np.mean(np.abs(wave) >= 0.9999) > self.card["clipped"]:
            raise ClipError("clipped: too many samples at full scale; turn the input down")
        return {"wave": wave, "machine": np.array(machines.index(machine))}

    def score(self, wave: np.ndarray, machine: str | None = None) -> dict[str, Any]:
        """What the model says of a clip.

        Args:
            wave: float32 [samples] at the card's rate, full scale 1.
            machine: whose it is, ``fan/00``; None is the only one there is.

        Returns:
            score, p_value, threshold and alarm; None is what it does not have, and then ``why``.

        Raises:
            ClipError: it has another length, is silent, clipped, not finite, or of another machine.
        """
        inputs = self.inputs(wave, machine)
        score, threshold, alarm = (one.item() for one in self.session.run(None, inputs))
        if not math.isfinite(score):
            raise ClipError("its score is not a finite number: are its samples?")
        number = int(inputs["machine"])
        normals = self.card["normals"][number]
        above = sum(one >= score for one in normals)
        p_value = (1 + above) / (1 + len(normals)) if normals else None
        said = {"score": score, "p_value": p_value, "threshold": threshold, "alarm": alarm}
        if math.isnan(threshold):
            said |= {"threshold": None, "alarm": None, "why": self.card["promises"][number]}
        return said


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("clip", nargs="*", help="sound files; none: show the model's card")
    parser.add_argument("--machine", help="of the clips, as the card names it: fan/00")
    options = parser.parse_args()
    try:
        runner = OnnxRunner(options.model)
    except ValueError as error:
        parser.error(str(error))
    if not options.clip:
        print(json.dumps(runner.card, indent=2))
    failed = 0
    for clip in options.clip:
        try:
            said = runner.score(runner.read(clip), options.machine)
        except ClipError as error:
            said, failed = {"error": str(error)}, 2
        print(json.dumps({"file": clip, **said}), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
