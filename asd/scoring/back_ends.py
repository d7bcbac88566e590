"""Back ends: how far a clip's vector is from those of normal training clips.

To add one: a frozen dataclass like ``NearestNeighbours``, anywhere, and ``back_end._target_`` in a
file of ``conf/scoring/``. It knows nothing of machines: ``fit_banks`` fits it to each group of
clips apart. ``asd.export`` takes it where its scores are of operations that ONNX has, as ours are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from asd.errors import AsdError
from asd.options import check_choice, check_names, check_number, check_whole

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

log = logging.getLogger(__name__)

# What a fit learns, by name.
State = dict[str, np.ndarray]
# The same of each bank, as ``model.ckpt`` holds it.
Banks = dict[str, dict[str, "Tensor"]]


class BackEnd(Protocol):
    """Fitted to vectors of normal clips, it scores others."""

    def fit(self, vectors: np.ndarray) -> State:
        """What is learnt of vectors, float64 [clips, values]; ``AsdError`` of too few."""

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """[clips] anomaly scores of vectors, float64 [clips, values]; higher is stranger."""


@dataclass(frozen=True)
class ByStationarity:
    """Median or standard deviation of a clip's errors, by a rule that sees normal clips alone.

    The deviation where the level moves, as Haunschmid and Praher (2020) chose on labelled clips for
    valve and slider; the median, theirs for other types, where it does not.

    Vectors are ``asd.scoring.clip_vectors.error_statistics``; the level moves if its deviation over
    time in the median clip is more than ``decibels``.
    """

    decibels: float

    def __post_init__(self) -> None:
        check_number("scoring.back_end.decibels", self.decibels, 0)

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        deviation = np.median(vectors[:, 2])
        moves = deviation > self.decibels
        log.info("the level moves by %.2g dB: %s", deviation, "deviation" if moves else "median")
        return {"moves": moves}

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        return vectors[:, 0].where(~state["moves"], vectors[:, 1])

    @staticmethod
    def chosen(state: State) -> str:
        """What stands beside the figures: see ``choices``."""
        return "deviation" if state["moves"] else "median"


@dataclass(frozen=True)
class Interquartile:
    """Not of vectors but of scores, [clips, 1]: by how many interquartile ranges above the median.

    With it the scores of all machine IDs have one scale: AUC within an ID stays what it is.
    """

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        low, median, high = np.quantile(vectors[:, 0], (0.25, 0.5, 0.75))
        if not high > low:
            few = f"{len(vectors)} validation clips, whose scores have no spread"
            raise AsdError(f"scoring.per_id: {few}; raise trainer.validation_fraction")
        return {"median": np.array(median), "range": np.array(high - low)}

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        return (vectors[:, 0] - state["median"]) / state["range"]


@dataclass(frozen=True)
class NearestNeighbours:
    """Mean distance to the ``k`` nearest vectors; see ``conf/scoring/knn.yaml``.

    ``standardise``: a value that is constant over the fitted vectors is only centred. ``density``
    (Wilkinghoff et al., ICASSP 2025): where normal clips lie apart, a distance says less.
    ``smote``: fewer vectors than ``least`` are filled up to it by ``with_synthetic``.
    """

    k: int
    metric: str
    standardise: bool
    density: int | None
    smote: Mapping[str, int] | None = None  # earlier checkpoints lack it

    def __post_init__(self) -> None:
        check_whole("scoring.back_end.k", self.k, 1)
        if self.smote is not None:
            if not isinstance(self.smote, Mapping):
                form = "null, or {least: ..., neighbours: ..., seed: ...}"
                raise AsdError(f"scoring.back_end.smote={self.smote}: must be {form}")
            check_names("scoring.back_end.smote.", self.smote, ("least", "neighbours", "seed"))
            for name, number in self.smote.items():
                check_whole(f"scoring.back_end.smote.{name}", number, int(name != "seed"))
        check_choice("scoring.back_end.metric", self.metric, ("euclidean", "cosine", "unit"))
        check_choice("scoring.back_end.standardise", self.standardise, (True, False))
        if self.density is not None:
            check_whole("scoring.back_end.density", self.density, 1)

    def fit(self, vectors: np.ndarray) -> State:
        """Keep them; see ``BackEnd``."""
        import torch

        near = self.smote["neighbours"] + 1 if self.smote else 0
        for name, needed in (("k", self.k), ("density", (self.density or 0) + 1), ("smote", near)):
            if len(vectors) < needed:
                option = f"scoring.back_end.{name}={getattr(self, name)}"
                raise AsdError(f"{option}: there are only {len(vectors)} training clips")
        mean, std = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1])
        if self.standardise:
            mean, std = vectors.mean(0), vectors.std(0)
            # Rounding makes the deviation of a constant tiny rather than 0.
            std[std <= 1e-9 * np.maximum(1.0, np.abs(mean))] = 1.0
        vectors = (vectors - mean) / std
        if self.smote:
            vectors = with_synthetic(vectors, **self.smote)
        bank = self._scaled(torch.from_numpy(vectors))
        state = {"mean": mean, "std": std, "vectors": bank.numpy()}
        if self.density is not None:
            own = self._distances(bank, bank).sort(1).values
            # The first is that of a vector to itself.
            state["density"] = own[:, 1 : self.density + 1].mean(1).numpy()
            if not (state["density"] > 0).all():
                option = f"scoring.back_end.density={self.density}"
                raise AsdError(f"{option}: more training clips than that are the same; raise it")
        return state

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        standardised = self._scaled((vectors - state["mean"]) / state["std"])
        distances = self._distances(standardised, state["vectors"])
        if self.density is not None:
            distances = distances / state["density"]
        return distances.topk(self.k, largest=False).values.mean(1)

    def _scaled(self, vectors: Tensor) -> Tensor:
        return vectors / vectors.norm(dim=1, keepdim=True) if self.metric == "unit" else vectors

    def _distances(self, vectors: Tensor, others: Tensor) -> Tensor:
        # As written, not by the faster |x|² - 2xy + |y|², whose rounding differs with the clips
        # that are scored together.
        import torch

        if self.metric == "cosine":
            vectors, others = (x / x.norm(dim=1, keepdim=True) for x in (vectors, others))
        if torch.compiler.is_exporting():  # ONNX has no cdist
            apart = (vectors[:, None] - others).square().sum(2).sqrt()
        else:
            apart = torch.cdist(vectors, others, compute_mode="donot_use_mm_for_euclid_dist")
        return apart.square() / 2 if self.metric == "cosine" else apart


def with_synthetic(vectors: np.ndarray, least: int, neighbours: int, seed: int) -> np.ndarray:
    """SMOTE (Chawla et al., JAIR 2002): up to ``least``, others between one and one near it."""
    from scipy.spatial import KDTree

    draw, missing = np.random.default_rng(seed), max(0, least - len(vectors))
    near = KDTree(vectors).query(vectors, neighbours + 1)[1][:, 1:]  # the first is itself
    start = draw.integers(len(vectors), size=missing)
    end = near[start, draw.integers(neighbours, size=missing)]
    share = draw.random((missing, 1))
    return np.concatenate([vectors, vectors[start] + share * (vectors[end] - vectors[start])])


def bank_names(clips: pd.DataFrame, bank: str | None) -> np.ndarray:
    """[clips] the bank of each, as ``scoring.bank`` asks: ``fan/00``, ``fan`` or ``all``."""
    if bank == "all":
        return np.full(len(clips), "all", dtype=object)
    # Of a new recording the ID need not be known.
    full = (clips["machine"] + "/" + clips["id"]).str.rstrip("/")
    return (full if bank == "id" else clips["machine"]).to_numpy(dtype=object)


def fit_banks(back_end: BackEnd, vectors: np.ndarray, names: np.ndarray) -> Banks:
    """What a back end learns of vectors [clips, values], by names [clips] of their banks."""
    import torch

    banks = {}
    for name in sorted(set(names)):
        own = vectors[names == name]
        log.info("%s: %d clips fit %s", name, len(own), type(back_end).__name__)
        try:
            state = back_end.fit(own)
        except AsdError as error:
            raise AsdError(f"{name}: {error}") from error
        banks[name] = {part: torch.as_tensor(array) for part, array in state.items()}
    return banks


def choices(back_end: object, banks: Iterable[Banks]) -> list[str]:
    """What a back end with a method ``chosen`` chose for each bank, from normal clips alone."""
    chosen: Any = getattr(back_end, "chosen", None)
    found = (pair for of_model in (banks if chosen else ()) for pair in of_model.items())
    words = ", ".join(f"{name} {chosen(state)}" for name, state in found)
    return [f"scoring.back_end chose by its rule: {words}"] * bool(words)


def bank_scores(
    back_end: BackEnd, banks: Banks, vectors: np.ndarray, names: np.ndarray
) -> np.ndarray:
    """[clips] scores of vectors [clips, values], each by its own bank.

    A machine ID that had no training clips has none: its clips get the least of the scores that the
    banks of its machine type give, with a warning; ``AsdError`` where that has none either.
    """
    import torch

    scores = np.empty(len(vectors))
    for name in sorted(set(names)):
        own, machine = names == name, name.split("/")[0]
        near = [name] if name in banks else [b for b in banks if b.split("/")[0] == machine]
        if not near:
            raise AsdError(f"no training clips of {name} to compare with, only {', '.join(banks)}")
        if near != [name]:
            log.warning("%s had no training clips: scored by the nearest of %s", name, near)
        given = torch.from_numpy(vectors[own])
        scores[own] = np.min([back_end.scores(banks[b], given) for b in near], axis=0)
    return scores
