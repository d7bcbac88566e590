"""One ONNX file of a trained model: ``python -m asd.export runs/NAME fan.onnx CLIPS``"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.score import add_model_options, scorer_of, sound_files


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.export",
        description="From WAV to decision in one ONNX file, proven on your clips "
        "(docs/deploy.md). Numbers are in conf/export.yaml.",
    )
    add_model_options(parser, resample=False)
    add = parser.add_argument
    add("out", type=Path, help="the file to write")
    add("clip", type=Path, nargs="+", help="sound files, or folders of them")
    add("--licence", default="not stated", help="of the model, in words, for its card")
    add("--int8", type=Path, metavar="LABELLED",
        help="8 bits for the network; a folder of clips called normal_* and anomaly_*")  # fmt: skip
    return exit_status(lambda: _export(parser.parse_args(arguments)))


def _export(options: argparse.Namespace) -> None:
    from omegaconf import OmegaConf

    from asd.composition import folder_of
    from asd.deployment.onnx_export import OnnxExport

    numbers: Any = OmegaConf.load(folder_of("conf") / "export.yaml")
    clips = [file for path in options.clip for file in sound_files(path)]
    labelled = sound_files(options.int8) if options.int8 else []
    export = OnnxExport(scorer_of(options), numbers)
    try:
        card = export.write(options.out, clips, options.licence, labelled)
    except OSError as error:
        raise AsdError(f"{options.out}: cannot be written: {error.strerror}") from error
    print(f"{options.out}: gives PyTorch's scores")
    for part in ("proof", "int8"):
        for name, value in card.get(part, {}).items():
            print(f"  {part}, {name}: {value:.4g}")
    for machine, promise in zip(card["machines"], card["promises"], strict=True):
        print(f"  {machine}: {promise}")


if __name__ == "__main__":
    program(main)
