"""All pictures of one run, from the files in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.experiment.run_folder import RunFolder
from asd.pictures.examples import KINDS
from asd.pictures.model_files import EMBEDDINGS, EXAMPLES, KeptClips
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import machine_order

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "pictures"


def run_pictures(
    run_folder: Path,
    out: Path | None = None,
    kinds: Sequence[str] = KINDS,
    scores: pd.DataFrame | None = None,
) -> list[Path]:
    """Draw ROC, score distributions, training curves, example clips and the bottleneck.

    Not drawn is what a run lacks: spectrograms without ``examples.npz``, ROC without test clips.

    Args:
        run_folder: with run.json, scores.csv and models/*.
        out: where to; None: ``pictures/`` in the run's folder.
        kinds: which of them.
        scores: the clips' scores; None: from ``scores.csv``.

    Returns:
        The PNGs, in the order in which they are best looked at.

    Raises:
        AsdError: a file is missing or damaged, or a picture cannot be written.
    """
    folder, out = RunFolder(Path(run_folder)), out or Path(run_folder) / FOLDER
    try:
        scores = read_scores(folder.scores) if scores is None else scores
        return [path for path in _draw(folder, scores, kinds, out) if path is not None]
    except OSError as error:
        raise AsdError(f"{out}: {error.strerror}; pictures cannot be written there") from error


def _draw(
    folder: RunFolder, scores: pd.DataFrame, kinds: Sequence[str], out: Path
) -> Iterator[Path | None]:
    import pandas as pd

    from asd.pictures.embedding import scatter
    from asd.pictures.score_pictures import distributions, roc
    from asd.pictures.spectrograms import triptychs
    from asd.pictures.training_curves import curves

    record = folder.record()
    about = record.get("title", folder.path.name)  # says what the data is
    models = {path.name: path for path in folder.models()}
    if "roc" in kinds and len(scores):
        yield roc(scores, float(record.get("max_fpr", 0.1)), f"ROC. {about}", out / "roc.png")
    if "scores" in kinds and len(scores):
        yield distributions(scores, f"Anomaly scores. {about}", out / "scores.png")
    if "training" in kinds:
        files = {m: models[m] / "history.csv" for m in machine_order(models)}
        histories = {m: pd.DataFrame(read_history(file)) for m, file in files.items()}
        yield curves(histories, f"Training. {about}", out / "training.png")
    if "embedding" in kinds:
        files = {m: path / EMBEDDINGS for m, path in models.items()}
        embeddings = {m: KeptClips.read(file) for m, file in files.items() if file.exists()}
        yield scatter(embeddings, f"Bottleneck. {about}", out / "embedding.png")
    if "clips" in kinds:
        for file in (path / EXAMPLES for path in models.values()):
            if file.exists():
                examples = KeptClips.read(file)
                for machine in machine_order(examples.clips["machine"]):
                    path = out / f"clips_{machine}.png"
                    yield triptychs(examples, machine, f"{machine}. {about}", path)
