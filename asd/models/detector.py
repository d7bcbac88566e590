"""A detector: a network or none, what is fitted beside it, and its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asd.composition import build, build_known
from asd.errors import AsdError
from asd.features.batches import Batch
from asd.files import check_regular, replacing
from asd.models.heads import Head, pooled
from asd.models.standardiser import Standardiser

# Of the part of a checkpoint that is ours.
CHECKPOINT_FORMAT = 1
# How the detector's tensors are called in a checkpoint of training, which has others beside them.
TRAINING_PREFIX = "detector."
# What is fitted after training.
_FITTED = ("banks", "scales", "calibration", "profiles", "spectra")
_RECIPE = {"bands": int, "frames": int, "classes": list, "model": dict, "loss": dict}
# Lists of it, and of what; the last: hashes of clips that trained it or chose its epoch.
_LISTS: dict[str, Any] = {"classes": str, "machines": str, "ids": list | tuple, "trained_on": int}


class WindowOutputs(NamedTuple):
    """What a detector makes of windows: tensors, and None of what its objective does not ask for.

    ``target`` and ``output`` [n, frames, bands], of the frames that are predicted, in the
    standardised domain; ``logits`` [n, classes] and ``cce`` [n], the cross entropy (binary of
    sigmoids) against the labels: float32 whatever the precision of the network, in which
    ``embedding`` [n, size] is. ``labels`` are the batch's.
    """

    target: Tensor
    output: Tensor
    embedding: Tensor
    logits: Tensor
    cce: Tensor
    labels: Tensor

    @property
    def squares(self) -> Tensor:
        """[n, frames, bands] squared errors."""
        return F.mse_loss(self.output, self.target, reduction="none")

    @property
    def mse(self) -> Tensor:
        """[n] mean squared error of each window; None without a reconstruction."""
        return self.output if self.output is None else self.squares.flatten(1).mean(1)


class Detector(nn.Module):
    """A network of standardised features with what its objective (``loss``) puts on the embedding.

    Without a network (``model=none``) it is what its scoring has learnt, ``banks``: the state of a
    back end (``asd.scoring.back_ends``) for each group of training clips, and ``scales``: of the
    scores of each machine ID, where they are standardised. ``calibration`` holds by ``machine/ID``
    the scores of normal clips that were held out, float64, ascending; it is empty where none were;
    so are ``profiles`` and ``spectra``: where their errors lie, and their levels, for pictures
    (``asd.scoring.error_maps.normal_clips``).

    Args:
        recipe: plain values that rebuild it from a checkpoint alone: ``model``, ``loss``,
            ``frontend``, ``window`` and ``scoring`` as composed, ``bands``, ``frames``,
            ``classes`` (names, in the classifier's order), and whatever else a user of the
            checkpoint should know.
        standardiser: fitted; None where a checkpoint brings it.
        make: ``build`` for a recipe of the user's config, else ``build_known``.
    """

    def __init__(
        self,
        recipe: dict[str, Any],
        standardiser: Standardiser | None = None,
        make: Callable[[Any, str], Any] = build,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.standardiser = standardiser or Standardiser.identity(recipe["bands"])
        self.banks: dict[str, dict[str, Tensor]] = {}
        self.scales: dict[str, dict[str, Tensor]] = {}
        self.calibration: dict[str, Tensor] = {}
        self.profiles: dict[str, Tensor] = {}
        self.spectra: dict[str, Tensor] = {}
        self.network: nn.Module = nn.Identity()
        if self.has_network:
            shape = {name: recipe[name] for name in ("bands", "frames")}
            self.network = make({**recipe["model"], **shape}, "model")
        self.loss = make(recipe["loss"], "loss")
        self.classifier: Head | None = None
        if self.loss.classes is not None:
            size: int = self.network.embedding_size  # type: ignore[assignment]
            self.classifier = self.loss.head(size, recipe["classes"])
        if self.reconstructs and not getattr(self.network, "reconstructs", True):
            network, loss = type(self.network).__name__, type(self.loss).__name__
            text = f"model: {network} reconstructs nothing, as {loss} needs"
            raise AsdError(f"{text}; choose loss=adacos or another that classifies")

    @property
    def has_network(self) -> bool:
        """Whether there is anything to train."""
        return self.recipe["model"].get("_target_") is not None

    @property
    def reconstructs(self) -> bool:
        """Whether windows are reconstructed, all or the frames that the network predicts."""
        return self.has_network and getattr(self.loss, "reconstructs", True)

    @property
    def predicts(self) -> slice:
        """The frames of a window that a reconstruction has."""
        return getattr(self.network, "predicts", slice(None))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.standardiser.mean.device

    def forward(self, features: Tensor) -> tuple[Tensor | None, Tensor]:
        """[n, frames, bands] -> reconstruction (standardised domain), if any; embeddings."""
        made: tuple[Tensor | None, Tensor] = self.network(self.standardiser(features))
        return made

    def outputs(self, batch: Batch) -> WindowOutputs:
        """Windows through the network, and through its objective's head where there is one."""
        features = self.standardiser(batch.features)
        output, embedding = self.network(features)
        made: dict[str, Any] = dict.fromkeys(WindowOutputs._fields)
        made |= {"embedding": pooled(embedding), "labels": batch.classes}
        if self.reconstructs:
            made |= {"target": features[:, self.predicts], "output": output.float()}
        if self.classifier is not None:
            logits = self.classifier(embedding, batch.classes).float()
            made |= {"logits": logits, "cce": self.classifier.losses(logits, batch.classes)}
        return WindowOutputs(**made)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU; ``AsdError`` if missing, damaged, or none of ours."""
    try:
        check_regular(path)
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version = content["asd"]["format"]
    except Exception as error:  # torch.load raises many kinds for damaged files
        way = f"remove {path.parent}, and the same command trains this model again"
        way = f"if a run wrote it, {way}" if path.suffix == ".ckpt" else "give a model.ckpt"
        raise AsdError(f"{path}: cannot be read as a checkpoint ({error!r:.300}); {way}") from error
    if version != CHECKPOINT_FORMAT:
        raise AsdError(f"{path}: checkpoint format {version}; we read {CHECKPOINT_FORMAT}")
    return content


def save_detector(detector: Detector, path: Path) -> None:
    """Write a detector as it scores, whole or not at all: weights, what was fitted, recipe."""
    learnt = {name: getattr(detector, name) for name in _FITTED}
    about = {"format": CHECKPOINT_FORMAT, "recipe": detector.recipe, **learnt}
    with replacing(path) as temporary:
        torch.save({"asd": about, "state_dict": detector.state_dict()}, temporary)


def load_detector(path: Path, allowed: Collection[str] = ()) -> Detector:
    """The detector that a checkpoint, which may be anyone's, holds, ready to score.

    ``allowed``: classes from outside this package that it may name (``build_known``); of others
    an ``AsdError``, as of what ``read_checkpoint`` refuses.
    """
    content = read_checkpoint(path)
    recipe = content["asd"].get("recipe")
    for name, kind in _RECIPE.items():
        if not isinstance(recipe, dict) or not isinstance(recipe.get(name), kind):
            raise AsdError(f"{path}: cannot be used as a checkpoint: its recipe lacks {name}")
    for name, kind in _LISTS.items():
        entries = recipe.setdefault(name, [])
        if not isinstance(entries, list) or not all(isinstance(one, kind) for one in entries):
            raise AsdError(f"{path}: cannot be used as a checkpoint: its {name} are damaged")
    make = partial(build_known, allowed=allowed)
    try:
        with torch.device("meta"):  # no more memory is asked for than the file's weights need
            _with_weights(Detector(recipe, make=make), content, path, assign=True)
        detector = Detector(recipe, make=make)
    except (AsdError, RuntimeError, ArithmeticError, TypeError, ValueError) as error:
        raise AsdError(f"{path}: {error}") from error
    for part in _FITTED:  # checkpoints of training lack them
        setattr(detector, part, content["asd"].get(part, {}))
    bands, scores = recipe["bands"], detector.calibration
    sound = _are_tensors(scores, torch.float64)
    sound = sound and all((own.diff() >= 0).all() for own in scores.values())
    sound = sound and _are_tensors(detector.spectra, torch.float32, (bands,))
    # Low, middle and high of each band, and in time.
    if not sound or not _are_tensors(detector.profiles, torch.float32, (3, bands + 1)):
        raise AsdError(f"{path}: cannot be used as a checkpoint: its calibration is damaged")
    return _with_weights(detector, content, path)


def rebuilt(recipe: dict[str, Any], path: Path) -> Detector:
    """The detector of this recipe, the user's own, with weights of ``read_checkpoint``."""
    return _with_weights(Detector(recipe), read_checkpoint(path), path)


def _are_tensors(content: Any, dtype: torch.dtype, shape: tuple[int, ...] | None = None) -> bool:
    """Whether it is tensors by name, of finite values and not empty; without ``shape`` vectors."""
    return isinstance(content, dict) and all(
        isinstance(name, str)
        and isinstance(values, Tensor)
        and (values.dtype, values.layout) == (dtype, torch.strided)
        and values.shape == (shape or (values.numel(),))
        and values.numel() > 0
        and bool(values.isfinite().all())
        for name, values in content.items()
    )


def _with_weights(
    detector: Detector, content: dict[str, Any], path: Path, assign: bool = False
) -> Detector:
    try:
        state = content["state_dict"].items()
        weights = {k.removeprefix(TRAINING_PREFIX): v for k, v in state}
        detector.load_state_dict(weights, assign=assign)
    except (RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise AsdError(f"{path}: weights do not fit the model: {error}") from error
    return detector.eval()
