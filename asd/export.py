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
    clips, labelled = (
        [file for path in paths for file in sound_files(path)]
        for paths in (options.clip, [options.int8] if options.int8 else [])
    )
    card = export.write(options.out, clips, options.machine, options.licence, labelled)
    proof, int8 = card["proof"], card.get("int8")
    print(
        f"{options.out}: equal to PyTorch on {proof['clips']} clips, at most "
        f"{proof['largest_difference']:.1e} of the mean score apart\n"
        f"{proof['bytes'] / 1e6:.2f} MB and {1e3 * proof['seconds_a_clip']:.0f} ms a clip; "
        f"PyTorch {proof['pytorch_bytes'] / 1e6:.2f} MB and "
        f"{1e3 * proof['pytorch_seconds_a_clip']:.0f} ms ({proof['threads']} threads)"
    )
    if int8:
        print(
            f"8 bits: {int8['bytes'] / 1e6:.2f} MB, AUC {100 * int8['auc']:.2f} % on "
            f"{int8['labelled']} labelled clips, {100 * int8['auc_before']:.2f} % before"
        )
    for machine, promise in zip(card["machines"], card["promises"], strict=True):
        print(f"{machine}: {promise}")


if __name__ == "__main__":
    program(main)
