"""One ONNX file of a trained model: ``python -m asd.export model.ckpt fan.onnx CLIPS``"""

from __future__ import annotations

import argparse
from pathlib import Path

from asd.exit_status import exit_status, program
from asd.score import sound_files


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.export",
        description="From WAV to score in one ONNX file, proven on your clips. Needs asd[onnx].",
    )
    parser.add_argument("checkpoint", type=Path, help="a model's model.ckpt, or its folder")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("clip", type=Path, nargs="+", help="sound files, or folders of them")
    parser.add_argument("--machine", help="of the clips, fan/00, if their paths do not tell")
    parser.add_argument("--licence", default="not stated", help="of the model, for its card")
    parser.add_argument(
        "--int8", type=Path, metavar="LABELLED",
        help="with weights of 8 bits; folder of clips called normal_* and anomaly_*, for the AUC",
    )  # fmt: skip
    return exit_status(lambda: _export(parser.parse_args(arguments)))


def _export(options: argparse.Namespace) -> None:
    from omegaconf import OmegaConf

    from asd.composition import folder_of
    from asd.deployment.onnx_export import ExportOptions, OnnxExport

    numbers = ExportOptions(**OmegaConf.load(folder_of("conf") / "export.yaml"))  # type: ignore[arg-type]
    checkpoint = options.checkpoint
    export = OnnxExport(
        checkpoint / "model.ckpt" if checkpoint.is_dir() else checkpoint, numbers
    )
    clips = [file for path in options.clip for file in sound_files(path)]
    proof = export.write(options.out, clips, options.machine, options.licence)["proof"]
    print(proof)


if __name__ == "__main__":
    program(main)
