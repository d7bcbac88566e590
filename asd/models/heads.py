"""Heads: from a network's embedding to logits of classes, and the loss of these."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pooled(embedding: Tensor) -> Tensor:
    """[n, size] of embeddings [n, size] or, of parts of a window, [n, size, positions]: means."""
    return embedding.mean(2) if embedding.ndim > 2 else embedding


class Head(nn.Module):
    """What an objective puts on a network's embedding.

    ``forward`` takes embeddings [n, size] or [n, size, positions], of parts of a window, and
    labels, where they are known, as ``losses`` does; it gives logits [n, classes].
    """

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[n] cross entropy; labels are class numbers [n] or shares of a mixture [n, classes]."""
        return F.cross_entropy(logits, labels, reduction="none")


class SoftmaxHead(nn.Linear, Head):
    """A dense layer, Glorot uniform."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__(size, classes)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, embedding: Tensor, labels: Tensor | None = None) -> Tensor:
        """See ``Head``."""
        return super().forward(pooled(embedding))


class CosineHead(Head):
    """Cosines with the centres of classes, scaled; ``asd.models.loss.ClassificationLoss``.

    A class's logit is the log sum exp over its centres, so that the softmax over classes is that
    over all centres, summed per class.
    """

    def __init__(self, size: int, classes: int, centres: int, scale: float, margin: float) -> None:
        super().__init__()
        weight = nn.init.xavier_uniform_(torch.empty(classes * centres, size))
        self.weight = nn.Parameter(weight.view(classes, centres, size))
        self.scale, self.margin = scale, margin

    def forward(self, embedding: Tensor, labels: Tensor | None = None) -> Tensor:
        """See ``Head``; the labels' logits are those with the margin."""
        unit, centres = F.normalize(pooled(embedding).float()), F.normalize(self.weight, dim=2)
        cosines = torch.einsum("ns,cks->nck", unit, centres)
        if self.margin and labels is not None:
            shares = labels if labels.ndim == 2 else F.one_hot(labels, len(self.weight))
            angles = cosines.clamp(-1 + 1e-7, 1 - 1e-7).acos()  # which has no gradient at the ends
            margins = self.margin * shares.unsqueeze(2)
            # Beyond pi the cosine would rise again: there insightface's substitute, which falls.
            far = angles + margins > torch.pi
            cosines = torch.where(far, cosines - margins * margins.sin(), (angles + margins).cos())
        return (self.scale * cosines).logsumexp(2)


class SigmoidHead(Head):
    """A sigmoid for each class, high for its own clips: convolution 1 x 1, batch norm, mean.

    ``sources`` [classes] are numbers; classes of one number are outliers to one another.
    """

    weights: Tensor

    def __init__(self, size: int, sources: Sequence[int]) -> None:
        super().__init__()
        self.to_logits = nn.Conv1d(size, len(sources), 1, bias=False)
        self.norm = nn.BatchNorm1d(len(sources))
        rivals = torch.tensor([[a == b for b in sources] for a in sources]).float()
        rivals.fill_diagonal_(0)
        count = rivals.sum(1, keepdim=True)
        weights = torch.eye(len(sources)) + rivals / count.clamp(min=1)
        self.register_buffer("weights", weights / (1 + (count > 0)), persistent=False)

    def forward(self, embedding: Tensor, labels: Tensor | None = None) -> Tensor:
        """See ``Head``."""
        parts = embedding.reshape(*embedding.shape[:2], -1)
        logits: Tensor = self.norm(self.to_logits(parts)).mean(2)
        return logits

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[n] binary cross entropy: half of a clip's class [n] (-1: none), half of its rivals."""
        own = (labels.unsqueeze(1) == torch.arange(logits.shape[1], device=labels.device)).float()
        of_classes = F.binary_cross_entropy_with_logits(logits, own, reduction="none")
        return (of_classes * self.weights[labels]).sum(1)
