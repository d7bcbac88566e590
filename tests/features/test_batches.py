from __future__ import annotations

import numpy as np
import torch

from asd.data.windows import Snippets, Windows
from asd.features.batches import Batches


def batches(size: int, seed: int | None, cover: str = "every") -> Batches:
    values = torch.arange(24, dtype=torch.float32).reshape(12, 2)
    index = Windows(None, 3, cover).starts(3, np.array([5, 4, 3]), ["a", "b", "c"])
    return Batches(values, index, np.array([7, 8, 9]), size, seed)


def test_windows_are_views_of_consecutive_frames() -> None:
    values = torch.arange(24, dtype=torch.float32).reshape(12, 2)
    index = Windows(None, 3, "every").starts(3, np.array([12]), ["a"])
    view = Batches(values, index, np.array([7]), 4).windows
    assert view.shape == (10, 3, 2)
    assert view.data_ptr() == values.data_ptr()
    for start in range(10):
        assert torch.equal(view[start], values[start : start + 3])


def test_no_window_crosses_from_clip_to_clip() -> None:
    features = torch.cat([b.features for b in batches(4, None)])
    first = [int(window[0, 0]) // 2 for window in features]
    assert first == [0, 1, 2, 5, 6, 9]


def test_order_follows_from_seed_and_epoch_alone() -> None:
    one, two = batches(4, seed=3), batches(4, seed=3)
    list(one), list(one)
    one.epoch = 5
    two.epoch = 5
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.features, b.features)
        assert torch.equal(a.classes, b.classes)
    two.epoch = 6
    assert any(not torch.equal(a.features, b.features) for a, b in zip(one, two, strict=True))


def test_an_epoch_has_every_window_once_with_its_class() -> None:
    drawn = [
        (int(window[0, 0]), int(number))
        for batch in batches(4, seed=1)
        for window, number in zip(batch.features, batch.classes, strict=True)
    ]
    assert sorted(drawn) == [(0, 7), (2, 7), (4, 7), (10, 8), (12, 8), (18, 9)]


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    sizes = [len(b.features) for b in batches(5, seed=1)]
    assert sizes == [6]
    assert len(batches(5, seed=1)) == 1
    assert [len(b.features) for b in batches(4, None)] == [4, 2]


def test_float16_features_arrive_as_float32() -> None:
    index = Windows(None, 3, "first").starts(3, np.array([4]), ["a"])
    half = Batches(torch.ones(4, 2, dtype=torch.float16), index, np.array([0]), 2)
    assert next(iter(half)).features.dtype == torch.float32


def test_batches_from_memory_arrive_where_they_are_wanted() -> None:
    # the meta device stands for any that is not the features' own
    index = Windows(None, 3, "every").starts(3, np.array([5]), ["a"])
    made = Batches(torch.ones(5, 2), index, np.array([0]), 2, device=torch.device("meta"))
    for batch in made:
        assert batch.features.device.type == "meta"
        assert batch.classes.device.type == "meta"
        assert batch.features.shape[1:] == (3, 2)


def test_snippets_begin_anywhere_in_training_and_score_where_they_stand() -> None:
    frames, length = np.array([20, 30, 5]), 5
    offsets = np.cumsum(frames) - frames
    values = torch.arange(frames.sum(), dtype=torch.float32).unsqueeze(1)
    snippets = Snippets(None, length, "all")
    index = snippets.starts(length, frames, ["a", "b", "c"])
    assert index.clips.tolist() == [0] * 4 + [1] * 6 + [2]
    drawn = snippets.training(index, frames).of_clips(np.array([True, True, True]))
    assert drawn.starts.tolist() == offsets.tolist() and drawn.clips.tolist() == [0, 1, 2]
    batches = Batches(values, drawn, np.arange(3), 3, seed=0)
    begun: list[set[int]] = [set(), set(), set()]
    for epoch in range(400):
        batches.epoch = epoch
        (batch,) = batches
        starts = batch.features[:, 0, 0].long()
        assert torch.equal(batch.features[:, -1, 0].long(), starts + length - 1)
        assert sorted(batch.classes.tolist()) == [0, 1, 2]  # each clip once an epoch
        for clip, start in zip(batch.classes.tolist(), starts.tolist(), strict=True):
            begun[clip].add(start - offsets[clip])
    assert begun == [set(range(n - length + 1)) for n in frames]
    batches.epoch = 7
    first = [b.features for b in batches]
    assert all(torch.equal(a, b.features) for a, b in zip(first, batches, strict=True))
    (held_out,) = Batches(values, drawn, np.arange(3), 3)
    assert held_out.features[:, 0, 0].tolist() == offsets.tolist()


def test_half_of_a_batch_are_outliers_others_in_each_epoch() -> None:
    """Clips 0 to 9 are outliers, 10 to 13 own; the first value of a window says its clip."""
    frames, own = np.full(14, 6), np.arange(14) >= 10
    values = torch.arange(14.0).repeat_interleave(6).unsqueeze(1)
    snippets = Snippets(None, 3, "all")
    index = snippets.training(snippets.starts(3, frames, [""] * 14), frames)
    batches = Batches(values, index, np.where(own, 0, -1), 4, seed=1)
    seen: list[int] = []
    for epoch in range(30):
        batches.epoch = epoch
        drawn = list(batches)
        assert len(drawn) == len(batches) == 2
        for batch in drawn:
            clips = batch.features[:, 0, 0].long()
            assert (batch.classes == torch.where(clips < 10, -1, 0)).all()
            assert (clips < 10).sum() == 2
            seen += clips.tolist()
    counts = np.bincount(seen, minlength=14)
    assert (counts[10:] == 30).all()  # each own one once an epoch
    assert (counts[:10] > 3).all() and counts[:10].sum() == 120
    held_out = [
        b.features[:, 0, 0].tolist() for b in Batches(values, index, np.where(own, 0, -1), 4)
    ]
    assert held_out == [[10, 0, 11, 2], [12, 5, 13, 7]]  # the same ones, from all
    few = Batches(values, index, np.where(np.arange(14) > 0, 0, -1), 26, seed=1)
    (batch,) = few  # fewer outliers than own clips: each more than once
    assert (batch.classes == -1).sum() == 13
