"""Batches of windows, cut from features that lie in memory as one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asd.data.windows import Index


class Batch(NamedTuple):
    """``features`` [n, frames, bands], ``classes`` [n] (class of the clip; -1: an outlier)."""

    features: Tensor
    classes: Tensor

    def mixed(self, probability: float, classes: int) -> Batch:
        """Some windows x, of class y, become w x + (1 - w) x', and y likewise, w uniform in [0, 1].

        x' is another window of the batch (mixup: Zhang et al., ICLR 2018). Drawn from torch's
        global generator on the CPU, whose state checkpoints hold.

        Args:
            probability: of each window; 0: the batch is returned as it is.
            classes: how many there are; the batch returned has shares of them [n, classes].
        """
        if probability == 0:
            return self
        x, y = self.features, F.one_hot(self.classes, classes).float()
        (chance, draw), other = torch.rand(2, len(x)), torch.randperm(len(x)).to(x.device)
        w = torch.where(chance < probability, draw, 1.0).to(x.device).unsqueeze(1)
        v = w.unsqueeze(2)
        return Batch(v * x + (1 - v) * x[other], w * y + (1 - w) * y[other])


class Batches:
    """Iterable of batches: no file, worker process or copy of all windows is involved.

    A window is a view of consecutive frames, so overlapping windows (B's) cost no memory. The order
    of an epoch follows from (seed, epoch) alone, so that a resumed run sees what an uninterrupted
    one would have seen.

    Args:
        features: [frames, bands], on the device that trains, or in memory.
        index: the windows.
        classes: [clips] class of each clip. If some are -1, an epoch is each window of the others,
            with an outlier after it: drawn anew, or without a seed the same ones, from all.
        batch_size: windows a batch. A last batch of a single window joins the one before, since
            batch norm needs two.
        seed: None keeps the windows in order.
        device: where batches are wanted; None: where ``features`` are. From memory they travel
            through pinned buffers while the GPU works on the batch before.
    """

    def __init__(
        self,
        features: Tensor,
        index: Index,
        classes: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.device = features.device if device is None else device
        # [frames - length + 1, length, bands], overlapping, nothing copied
        self.windows = features.unfold(0, index.length, 1).transpose(1, 2)
        self.starts = torch.as_tensor(index.starts, device=features.device)
        slack = index.slack
        self.slack = None if slack is None else torch.as_tensor(slack, device=features.device)
        of_windows = torch.as_tensor(classes[index.clips], dtype=torch.long)
        self.classes = of_windows.to(features.device)
        own = int((of_windows >= 0).sum())
        self.count = own if own == len(of_windows) else 2 * own  # windows of an epoch
        self._staged = self.device.type == "cuda" and features.device.type == "cpu"
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0  # whose order comes next

    def __len__(self) -> int:
        return len(self._bounds())

    def _bounds(self) -> list[tuple[int, int]]:
        n, size = self.count, self.batch_size
        bounds = [(at, min(at + size, n)) for at in range(0, n, size)]
        if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
            bounds[-2:] = [(bounds[-2][0], n)]
        return bounds

    def __iter__(self) -> Iterator[Batch]:
        starts, order = self.starts, torch.arange(len(self.starts))
        if self.seed is not None:
            words = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
            generator = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
            order = torch.randperm(len(starts), generator=generator)
        order = order.to(starts.device)
        if self.count != len(order):
            outlier = self.classes[order] < 0
            own, others = order[~outlier], order[outlier]
            spread = torch.arange(len(own), device=own.device) * len(others) // len(own)
            order = torch.stack([own, others[spread]], 1).flatten()
        starts, classes = starts[order], self.classes[order]
        if self.seed is not None and self.slack is not None:
            share = torch.rand(len(order), generator=generator, dtype=torch.float64)
            starts = starts + (share.to(starts.device) * (self.slack[order] + 1)).long()
        for begin, end in self._bounds():
            yield self._batch(starts[begin:end], classes[begin:end])

    def in_order(self, number: int) -> Batch:
        """The batch of this number where windows are in order; threads may ask side by side."""
        begin, end = self._bounds()[number]
        return self._batch(self.starts[begin:end], self.classes[begin:end])

    def _batch(self, starts: Tensor, classes: Tensor) -> Batch:
        """The windows that begin at these frames [n], float32, on the device."""
        # Ten times faster on a CPU than indexing the view by a tensor: it copies whole windows.
        if not self._staged:
            cut = torch.index_select(self.windows, 0, starts)
        else:
            # The allocator of pinned memory gives the buffer out again only after its copy is done.
            shape = (len(starts), *self.windows.shape[1:])
            cut = torch.empty(shape, dtype=self.windows.dtype, pin_memory=True)
            torch.index_select(self.windows, 0, starts, out=cut)
        classes = classes.to(self.device, non_blocking=True)
        return Batch(cut.to(self.device, non_blocking=True).float(), classes)
