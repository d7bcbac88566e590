"""Batches of windows, cut from features that lie in memory as one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asd.data.windows import Index


class Batch(NamedTuple):
    """``features`` [n, frames, bands], ``classes`` [n] (of the clip; -1: an outlier)."""

    features: Tensor
    classes: Tensor


class Batches:
    """Iterable of batches: no file, worker process or copy of all windows is involved.

    A window is a view of consecutive frames, so overlapping windows (B's) cost no memory. The order
    of an epoch follows from (seed, epoch) alone, so that a resumed run sees what an uninterrupted
    one would have seen.

    Args:
        features: [frames, bands], on the device that trains, or in memory.
        index: the windows.
        classes: [clips] class of each clip.
        batch_size: windows a batch. A last batch of a single window joins the one before, since
            batch norm needs two.
        seed: None keeps the windows in order.
        device: where batches are wanted; None: where ``features`` are. From memory they travel
            through pinned buffers while the GPU works on the batch before.
        outliers: further windows, of class -1: half of every batch, drawn anew in each epoch;
            without a seed, the same ones, evenly over all.
    """

    def __init__(
        self,
        features: Tensor,
        index: Index,
        classes: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        device: torch.device | None = None,
        outliers: Index | None = None,
    ) -> None:
        self.device = features.device if device is None else device
        self.windows = windows_view(features, index.length)
        self.starts, self.slack = _starts(index, features.device)
        self.outliers = None if outliers is None else _starts(outliers, features.device)
        of_windows = torch.as_tensor(classes[index.clips], dtype=torch.long)
        self.classes = of_windows.to(features.device)
        self._staged = self.device.type == "cuda" and features.device.type == "cpu"
        self.batch_size = batch_size if outliers is None else batch_size // 2
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._bounds())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def _bounds(self) -> list[tuple[int, int]]:
        n, size = len(self.starts), self.batch_size
        bounds = [(at, min(at + size, n)) for at in range(0, n, size)]
        if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
            bounds[-2:] = [(bounds[-2][0], n)]
        return bounds

    def __iter__(self) -> Iterator[Batch]:
        n, generator = len(self.starts), None
        order = torch.arange(n)
        if self.seed is not None:
            words = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
            generator = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
            order = torch.randperm(n, generator=generator)
        starts = _drawn(self.starts, self.slack, order, generator)
        classes = self.classes[order.to(self.classes.device)]
        if self.outliers is not None:
            count = len(self.outliers[0])
            others = torch.arange(n) * count // n
            if generator is not None:
                others = torch.randint(count, (n,), generator=generator)
            strangers = _drawn(*self.outliers, others, generator)
        for begin, end in self._bounds():
            own, labels = starts[begin:end], classes[begin:end]
            if self.outliers is not None:
                own = torch.cat([own, strangers[begin:end]])
                labels = torch.cat([labels, torch.full_like(labels, -1)])
            yield Batch(self._cut(own), self._send(labels))

    def in_order(self, number: int) -> Batch:
        """The batch of this number where windows are in order; threads may ask side by side."""
        begin, end = self._bounds()[number]
        return Batch(self._cut(self.starts[begin:end]), self._send(self.classes[begin:end]))

    def _cut(self, starts: Tensor) -> Tensor:
        """[n] first frames -> [n, frames, bands], float32, on the device."""
        # Ten times faster on a CPU than indexing the view by a tensor: it copies whole windows.
        if not self._staged:
            cut = torch.index_select(self.windows, 0, starts)
        else:
            # The allocator of pinned memory gives the buffer out again only after its copy is done.
            shape = (len(starts), *self.windows.shape[1:])
            cut = torch.empty(shape, dtype=self.windows.dtype, pin_memory=True)
            torch.index_select(self.windows, 0, starts, out=cut)
        return self._send(cut).float()

    def _send(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)


def _starts(index: Index, device: torch.device) -> tuple[Tensor, Tensor]:
    """[windows] first frames, and how much later each may begin."""
    slack = np.zeros_like(index.starts) if index.slack is None else index.slack
    return torch.as_tensor(index.starts, device=device), torch.as_tensor(slack, device=device)


def _drawn(
    starts: Tensor, slack: Tensor, chosen: Tensor, generator: torch.Generator | None
) -> Tensor:
    """[n] starts of the windows chosen, with a generator each later by 0 to ``slack`` frames."""
    chosen = chosen.to(starts.device)
    if generator is None:
        return starts[chosen]
    later = torch.rand(len(chosen), generator=generator, dtype=torch.float64).to(starts.device)
    return starts[chosen] + (later * (slack[chosen] + 1)).long()


def windows_view(features: Tensor, length: int) -> Tensor:
    """[frames, bands] -> [frames - length + 1, length, bands], overlapping, nothing copied."""
    frames, bands = features.shape
    return features.as_strided((frames - length + 1, length, bands), (bands, bands, 1))
