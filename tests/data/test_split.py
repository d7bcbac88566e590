from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asd.data.manifest import COLUMNS, Manifest, sorted_manifest
from asd.data.split import validation_split
from asd.errors import AsdError


def manifest(sizes: dict[tuple[str, str], int], split: str = "train") -> Manifest:
    rows: list[dict[str, object]] = []
    for (machine, machine_id), size in sizes.items():
        for n in range(size):
            path = f"{machine}/{split}/normal_id_{machine_id}_{n:08d}.wav"
            values = ["development", machine, machine_id, split, 0, path, 10, 16000, "0" * 16]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return sorted_manifest(Path("root"), rows)


def per_stratum(data: Manifest, mask: np.ndarray) -> dict[tuple[str, str], int]:
    chosen = data.clips[mask]
    return dict(Counter(zip(chosen["machine"], chosen["id"], strict=True)))


def test_ten_percent_of_each_machine_id() -> None:
    sizes = {("fan", "00"): 900, ("fan", "02"): 910, ("pump", "00"): 600}
    data = manifest(sizes)
    mask = validation_split(data, 0.1, seed=0)
    assert mask.dtype == bool
    assert mask.shape == (2410,)
    assert per_stratum(data, mask) == {("fan", "00"): 90, ("fan", "02"): 91, ("pump", "00"): 60}


def test_largest_remainders() -> None:
    """Shares 1.4, 1.3, 1.3 of 14, 13, 13: 4 in all, and the largest remainder gets the fourth."""
    data = manifest({("a", "0"): 13, ("b", "0"): 14, ("c", "0"): 13})
    for seed in range(5):
        mask = validation_split(data, 0.1, seed)
        assert per_stratum(data, mask) == {("a", "0"): 1, ("b", "0"): 2, ("c", "0"): 1}


def test_equal_remainders_go_by_seed() -> None:
    """Twenty machines of 2 clips at 10 %: 4 clips, not always of the first four names."""
    data = manifest({(f"m{i:02d}", "00"): 2 for i in range(20)})
    chosen = [frozenset(per_stratum(data, validation_split(data, 0.1, s))) for s in range(10)]
    assert all(len(machines) == 4 for machines in chosen)
    assert len(set(chosen)) > 5


def test_row_order_and_root_do_not_matter() -> None:
    data = manifest({("fan", "00"): 50, ("fan", "02"): 31, ("pump", "00"): 7})
    order = np.random.default_rng(0).permutation(len(data))
    shuffled = Manifest(Path("elsewhere"), data.clips.iloc[order].reset_index(drop=True))
    paths = set(data.clips["path"][validation_split(data, 0.1, 3)])
    assert set(shuffled.clips["path"][validation_split(shuffled, 0.1, 3)]) == paths


def test_pinned_choice() -> None:
    """A change here would change every result already on record."""
    data = manifest({("fan", "00"): 20, ("pump", "02"): 10})
    mask = validation_split(data, 0.2, seed=7)
    assert np.flatnonzero(mask).tolist() == [2, 13, 16, 18, 20, 23]


def test_every_clip_is_as_likely() -> None:
    """200 seeds at 20 %: each of 30 clips is chosen 40 times on average, deviation 5.7."""
    data = manifest({("fan", "00"): 30})
    times = sum(validation_split(data, 0.2, seed).astype(int) for seed in range(200))
    assert np.mean(times) == 40
    assert np.min(times) > 15
    assert np.max(times) < 65


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_counts(sizes: list[int], fraction: float, seed: int) -> None:
    strata = {("fan", f"{i:02d}"): size for i, size in enumerate(sizes)}
    data = manifest(strata)
    wanted = min(int(fraction * sum(sizes) + 0.5), sum(sizes) - len(sizes))
    if wanted == 0:
        with pytest.raises(AsdError, match=r"trainer\.validation_fraction"):
            validation_split(data, fraction, seed)
        return
    mask = validation_split(data, fraction, seed)
    assert mask.sum() == wanted
    counts = per_stratum(data, mask)
    assert all(counts.get(stratum, 0) < size for stratum, size in strata.items())


def test_no_clip_for_validation() -> None:
    with pytest.raises(AsdError, match=r"trainer.validation_fraction=0.1: none of the 4 training"):
        validation_split(manifest({("fan", "00"): 4}), 0.1, 0)
    with pytest.raises(AsdError, match="none of the 2 training clips of 2 machines"):
        validation_split(manifest({("fan", "00"): 1, ("fan", "02"): 1}), 0.5, 0)


def test_test_clips_and_other_strata_are_refused() -> None:
    with pytest.raises(AsdError, match=r"trainer\.validation_strata=label: must be"):
        validation_split(manifest({("fan", "00"): 10}), 0.1, 0, ["label"])
    with pytest.raises(ValueError, match="training clips only"):
        validation_split(manifest({("fan", "00"): 10}, "test"), 0.1, 0)
