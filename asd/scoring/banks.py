"""Whose training clips a clip is compared with: a back end fitted to each machine ID, or wider."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asd.errors import AsdError
from asd.scoring.back_ends import BackEnd, State

log = logging.getLogger(__name__)

# What a back end learnt of each, as ``model.ckpt`` holds it.
Banks = dict[str, dict[str, Tensor]]


def bank_names(clips: pd.DataFrame, bank: str | None) -> np.ndarray:
    """[clips] the bank of each, as ``scoring.bank`` asks: ``fan/00``, ``fan`` or ``all``."""
    if bank == "all":
        return np.full(len(clips), "all", dtype=object)
    # Of a new recording the ID need not be known.
    full = (clips["machine"] + "/" + clips["id"]).str.rstrip("/")
    return (full if bank == "id" else clips["machine"]).to_numpy(dtype=object)


def fit_banks(back_end: BackEnd, vectors: np.ndarray, names: np.ndarray) -> Banks:
    """What the back end learns of each bank.

    Args:
        back_end: to fit.
        vectors: [clips, values] of normal training clips.
        names: [clips] of their banks.

    Raises:
        AsdError: a bank has too few clips; names it.
    """
    banks = {}
    for name in sorted(set(names)):
        try:
            state = back_end.fit(vectors[names == name])
        except AsdError as error:
            raise AsdError(f"{name}: {error}") from error
        banks[name] = {part: torch.as_tensor(array) for part, array in state.items()}
    return banks


def bank_scores(
    back_end: BackEnd, banks: Banks, vectors: np.ndarray, names: np.ndarray
) -> np.ndarray:
    """[clips] scores of vectors [clips, values], each by its own bank.

    A machine ID that had no training clips has none: its clips get the least of the scores that the
    banks of its machine type give, with a warning.

    Raises:
        AsdError: a clip is of a machine type that has no bank.
    """
    scores = np.empty(len(vectors))
    for name in sorted(set(names)):
        near, own = states_of(banks, name), names == name
        scores[own] = np.min([back_end.scores(state, vectors[own]) for state in near], axis=0)
    return scores


def states_of(banks: Banks, name: str) -> list[State]:
    """What was learnt of a bank; where it is none, of all those of its machine type.

    Raises:
        AsdError: its machine type has none either.
    """
    machine = name.split("/")[0]
    near = [name] if name in banks else [b for b in banks if b.split("/")[0] == machine]
    if not near:
        raise AsdError(f"no training clips of {name} to compare with, only {', '.join(banks)}")
    if near != [name]:
        log.warning("%s had no training clips: scored by the nearest of %s", name, near)
    return [{part: tensor.numpy() for part, tensor in banks[b].items()} for b in near]
