"""All pictures of one run, from the files in its folder."""

from __future__ import annotations

import logging
from pathlib import Path

from asd.errors import AsdError
from asd.pictures.examples import PictureOptions
from asd.pictures.model_files import EMBEDDINGS, EXAMPLES
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import machine_order
from asd.tracking.run_folder import RunFolder

log = logging.getLogger(__name__)

FOLDER = "pictures"


def run_pictures(
    run_folder: Path, options: PictureOptions | None = None, out: Path | None = None
) -> list[Path]:
    """Draw ROC, score distributions, training curves, example clips and the bottleneck.

    What a file is missing for is not drawn: a run without ``examples.npz`` has no spectrograms.

    Args:
        run_folder: with run.json, scores.csv and models/*.
        options: what to draw; None: the defaults.
        out: where to; None: ``pictures/`` in the run's folder.

    Returns:
        The PNGs, in the order in which they are best looked at.

    Raises:
        AsdError: the scores are missing or damaged, or a picture cannot be written.
    """
    options = options or PictureOptions()
    if not options.enabled:
        return []
    folder = RunFolder(Path(run_folder))
    out = out or folder.path / FOLDER
    record = folder.record()
    title = str(record.get("title", folder.path.name))
    label = str(record.get("data_label", ""))
    # The title of a run says what the data is; a label that it does not hold is added.
    about = title if not label or "SIMULATED" in title else f"{title} ({label})"
    try:
        return _draw(folder, options, out, about)
    except OSError as error:
        raise AsdError(f"{out}: {error.strerror}; pictures cannot be written there") from error


def _draw(folder: RunFolder, options: PictureOptions, out: Path, about: str) -> list[Path]:
    from asd.pictures.embedding import scatter
    from asd.pictures.model_files import read_embeddings, read_examples
    from asd.pictures.score_pictures import distributions, roc
    from asd.pictures.spectrograms import triptychs
    from asd.pictures.training_curves import curves

    max_fpr = float(folder.record().get("max_fpr", 0.1))
    scores = read_scores(folder.scores)
    drawn = [
        roc(scores, max_fpr, f"ROC. {about}", out / "roc.png"),
        distributions(scores, f"Anomaly scores. {about}", out / "scores.png"),
        curves(_histories(folder), f"Training. {about}", out / "training.png"),
    ]
    models = folder.models()
    found = {m.name: m / EMBEDDINGS for m in models if (m / EMBEDDINGS).exists()}
    drawn.append(
        scatter(
            {name: read_embeddings(path) for name, path in found.items()},
            options.projection, options.seed, f"Bottleneck. {about}", out / "embedding.png",
        )
    )  # fmt: skip
    for model in models:
        if not (model / EXAMPLES).exists():
            continue
        examples = read_examples(model / EXAMPLES)
        for machine in machine_order({clip.machine for clip in examples.clips}):
            path = out / f"clips_{machine}.png"
            drawn.append(triptychs(examples, machine, f"{machine}. {about}", path))
    return [path for path in drawn if path is not None]


def _histories(folder: RunFolder) -> dict[str, list[dict[str, float]]]:
    from asd.pictures.training_curves import read_curves

    by_name = {model.name: read_curves(model / "history.csv") for model in folder.models()}
    return {name: by_name[name] for name in machine_order(by_name)}
