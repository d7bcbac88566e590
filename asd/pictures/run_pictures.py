"""All pictures of one run, from the files in its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.pictures.examples import KINDS, PictureOptions
from asd.pictures.model_files import EMBEDDINGS, EXAMPLES
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import machine_order

log = logging.getLogger(__name__)

FOLDER = "pictures"


def run_pictures(
    run_folder: Path,
    options: PictureOptions | None = None,
    out: Path | None = None,
    kinds: Sequence[str] = KINDS,
) -> list[Path]:
    """Draw ROC, score distributions, training curves, example clips and the bottleneck.

    What a file is missing for is not drawn: a run without ``examples.npz`` has no spectrograms.

    Args:
        run_folder: with run.json, scores.csv and models/*.
        options: what to draw; None: the defaults.
        out: where to; None: ``pictures/`` in the run's folder.
        kinds: which of them.

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
        return _draw(folder, options, out, about, kinds)
    except OSError as error:
        raise AsdError(f"{out}: {error.strerror}; pictures cannot be written there") from error


def _draw(
    folder: RunFolder, options: PictureOptions, out: Path, about: str, kinds: Sequence[str]
) -> list[Path]:
    from asd.pictures.embedding import scatter
    from asd.pictures.model_files import read_embeddings, read_examples
    from asd.pictures.score_pictures import distributions, roc
    from asd.pictures.spectrograms import triptychs
    from asd.pictures.training_curves import curves

    max_fpr = float(folder.record().get("max_fpr", 0.1))
    scores, models = read_scores(folder.scores), folder.models()

    def embedding() -> Path | None:
        found = {m.name: m / EMBEDDINGS for m in models if (m / EMBEDDINGS).exists()}
        read = {name: read_embeddings(path) for name, path in found.items()}
        how = options.projection, options.seed
        return scatter(read, *how, f"Bottleneck. {about}", out / "embedding.png")

    def clips() -> Iterator[Path | None]:
        for model in models:
            if not (model / EXAMPLES).exists():
                continue
            examples = read_examples(model / EXAMPLES)
            for machine in machine_order({clip.machine for clip in examples.clips}):
                path = out / f"clips_{machine}.png"
                yield triptychs(examples, machine, f"{machine}. {about}", path)

    drawn: list[Path | None] = []
    if "roc" in kinds:
        drawn.append(roc(scores, max_fpr, f"ROC. {about}", out / "roc.png"))
    if "scores" in kinds:
        drawn.append(distributions(scores, f"Anomaly scores. {about}", out / "scores.png"))
    if "training" in kinds:
        drawn.append(curves(_histories(folder), f"Training. {about}", out / "training.png"))
    if "embedding" in kinds:
        drawn.append(embedding())
    if "clips" in kinds:
        drawn += clips()
    return [path for path in drawn if path is not None]


def _histories(folder: RunFolder) -> dict[str, list[dict[str, float]]]:
    from asd.pictures.training_curves import read_curves

    by_name = {model.name: read_curves(model / "history.csv") for model in folder.models()}
    return {name: by_name[name] for name in machine_order(by_name)}
