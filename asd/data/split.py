"""Which clips are kept apart by lot: for validation, for thresholds, or for tests."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING

from asd.data.manifest import Manifest
from asd.errors import AsdError
from asd.options import check_choice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Stratum = tuple[str, ...]
STRATA = ("machine", "id")


def validation_split(
    manifest: Manifest,
    fraction: float,
    seed: int,
    strata_by: Sequence[str] = STRATA,
    option: str = "trainer.validation_fraction",
) -> NDArray[np.bool_]:
    """A random choice of clips, stratified, by default by machine type and ID.

    It depends on the seed and the clips' paths (relative to the root) alone: not on the order of
    the rows, nor on the version of a random number generator. Every stratum keeps at least one clip
    for training. The count is ``fraction`` (above 0, below 1) of all clips, rounded half up, shared
    out among the strata by largest remainders.

    Args:
        manifest: training clips only.
        fraction: of the clips for validation.
        seed: another seed gives another choice.
        strata_by: of ``STRATA``; none of them: not stratified.
        option: the fraction's name, for messages.

    Returns:
        bool [clips], True for validation.

    Raises:
        AsdError: the fraction gives no clip for validation, or a stratum is not of ``STRATA``.
        ValueError: there are clips that are not for training.
    """
    import numpy as np

    for name in strata_by:
        check_choice("trainer.validation_strata", name, STRATA)
    clips = manifest.clips
    if (clips["split"] != "train").any():
        raise ValueError("validation clips are chosen among training clips only")

    strata: defaultdict[Stratum, list[str]] = defaultdict(list)
    for path, *stratum in clips[["path", *strata_by]].itertuples(index=False):
        strata[tuple(stratum)].append(path)
    chosen = drawn(strata, fraction, seed)
    if not chosen:
        raise AsdError(
            f"{option}={fraction}: none of the {len(clips)} training clips of {len(strata)} "
            "machines is left to be held out (each keeps one for training): "
            "raise it, or add training clips"
        )
    return np.asarray(clips["path"].isin(chosen), dtype=np.bool_)


def drawn(strata: Mapping[Stratum, Sequence[str]], fraction: float, seed: int) -> set[str]:
    """Of each stratum's paths its share, as in ``validation_split``; one at least is left.

    Equal remainders are ordered by the seed, not by name.
    """
    sizes = {stratum: len(paths) for stratum, paths in strata.items()}
    shares = {s: min(floor(fraction * size), size - 1) for s, size in sizes.items()}
    wanted = floor(fraction * sum(sizes.values()) + 0.5)
    order = sorted(
        sizes, key=lambda s: (floor(fraction * sizes[s]) - fraction * sizes[s], _rank(seed, *s))
    )
    # Turn by turn one more each, in this order, where one is left.
    more = [(turn, at) for at, s in enumerate(order) for turn in range(sizes[s] - 1 - shares[s])]
    for _, at in sorted(more)[: wanted - sum(shares.values())]:
        shares[order[at]] += 1
    return {
        path
        for stratum, paths in strata.items()
        for path in sorted(paths, key=lambda path: _rank(seed, path))[: shares[stratum]]
    }


def _rank(seed: int, *names: str) -> bytes:
    """A place in a random order that the seed fixes."""
    return hashlib.blake2b("\0".join((str(seed), *names)).encode(), digest_size=16).digest()
