"""Each objective's loss against its formula, written out in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from asd.errors import AsdError
from asd.models.loss import ClassificationLoss, OutlierExposure

N, SIZE, CLASSES = 6, 5, ["fan/00", "fan/02", "pump/00", "ToyCar/01", "ToyCar/02"]
LABELS = np.array([0, 3, 1, 4, 2, 2])
SOFT = np.random.default_rng(1).dirichlet(np.ones(len(CLASSES)), N)


def embeddings(*positions: int) -> torch.Tensor:
    return torch.randn(N, SIZE, *positions, generator=torch.Generator().manual_seed(0))


def both(loss: ClassificationLoss, labels: np.ndarray) -> tuple[np.ndarray, torch.nn.Module]:
    torch.manual_seed(0)
    head = loss.head(SIZE, CLASSES)
    given = torch.as_tensor(labels, dtype=torch.float32 if labels.ndim == 2 else torch.long)
    logits = head(embeddings(), given)
    return loss.combine(None, head.losses(logits, given)).detach().numpy(), head


def cosines(head: torch.nn.Module) -> np.ndarray:
    """[n, classes, centres]"""
    x, c = embeddings().numpy(), head.weight.detach().numpy()  # type: ignore[operator]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    c = c / np.linalg.norm(c, axis=2, keepdims=True)
    return np.asarray(np.einsum("ns,cks->nck", x, c, dtype=np.float64))


@pytest.mark.parametrize("soft", [False, True])
def test_sub_cluster_adacos(soft: bool) -> None:
    loss = ClassificationLoss("id", 0.5, centres=16, scale=None, margin=0.0)
    got, head = both(loss, SOFT if soft else LABELS)
    assert head.scale == math.sqrt(2) * math.log(5 * 16 - 1)
    # softmax over all sub-centres, summed per class
    powers = np.exp(head.scale * cosines(head))
    probabilities = powers.sum(2) / powers.sum((1, 2))[:, None]
    shares = SOFT if soft else np.eye(len(CLASSES))[LABELS]
    np.testing.assert_allclose(got, -(shares * np.log(probabilities)).sum(1), rtol=1e-6, atol=1e-6)
    assert head.weight.requires_grad


def test_the_scale_of_the_published_41_classes() -> None:
    loss = ClassificationLoss("id", 0.5, centres=16, scale=None, margin=0.0)
    scale = loss.head(256, [f"fan/{n}" for n in range(41)]).scale
    assert scale == pytest.approx(math.sqrt(2) * math.log(41 * 16 - 1), rel=1e-12)


def with_margin(cosine: np.ndarray, m: float) -> np.ndarray:
    """insightface's rule: cos(angle + m) while cos(angle) > cos(pi - m), else cosine - m sin(m)."""
    nearer = cosine > math.cos(math.pi - m)
    return np.where(nearer, np.cos(np.arccos(cosine) + m), cosine - m * math.sin(m))


def test_arcface() -> None:
    loss = ClassificationLoss("id", 0.0, centres=1, scale=30.0, margin=0.7)
    got, head = both(loss, LABELS)
    logits = cosines(head)[:, :, 0]
    own = np.arange(N), LABELS
    logits[own] = with_margin(logits[own], 0.7)
    expected = -log_softmax(30 * logits, axis=1)[own]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-5)
    without = -log_softmax(30 * cosines(head)[:, :, 0], axis=1)
    unlabelled = -torch.log_softmax(head(embeddings()), 1).detach().numpy()
    np.testing.assert_allclose(unlabelled, without, rtol=1e-6, atol=1e-5)


def test_beyond_pi_the_margin_is_taken_from_the_cosine() -> None:
    head = ClassificationLoss("id", 0.0, 1, 30.0, 0.7).head(2, ["fan/00", "fan/02"])
    head.weight.data[:] = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    angles = np.linspace(0.01, math.pi - 0.01, 99)
    x = torch.from_numpy(np.column_stack([np.cos(angles), np.sin(angles)])).float()
    got = head(x, torch.zeros(99, dtype=torch.long)).detach().numpy() / 30
    np.testing.assert_allclose(got[:, 0], with_margin(np.cos(angles), 0.7), atol=1e-5)
    assert (np.diff(got[:, 0]) < 0).all()  # the worse, the lower
    np.testing.assert_allclose(got[:, 1], np.sin(angles), atol=1e-6)


def test_plain_cross_entropy() -> None:
    loss = ClassificationLoss("id", 0.0, None, None, 0.0)
    got, head = both(loss, SOFT)
    weight, bias = (p.detach().numpy().astype(float) for p in head.parameters())
    expected = -(SOFT * log_softmax(embeddings().numpy() @ weight.T + bias, axis=1)).sum(1)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def exposed(classes: list[str], labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    loss = OutlierExposure([["fan", "pump"], ["ToyCar"]])
    torch.manual_seed(0)
    head = loss.head(SIZE, classes).eval()
    logits = head(embeddings(7))
    x, kernel = embeddings(7).numpy(), head.to_logits.weight.detach().numpy()[:, :, 0]  # type: ignore[union-attr,operator]
    expected = np.einsum("nsp,ks->nkp", x, kernel).mean(2) / math.sqrt(1 + 1e-5)
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    got = loss.combine(None, head.losses(logits, torch.tensor(labels)))
    return got.detach().numpy(), logits.detach().numpy().astype(float)


def bce(logits: np.ndarray, target: float) -> np.ndarray:
    p = 1 / (1 + np.exp(-logits))
    return np.asarray(-(target * np.log(p) + (1 - target) * np.log(1 - p)))


def test_outlier_exposure_shared_stays_within_a_source() -> None:
    got, logits = exposed(CLASSES, list(LABELS))
    rivals = {0: [1, 2], 1: [0, 2], 2: [0, 1], 3: [4], 4: [3]}
    expected = [
        (bce(row[own], 1) + np.mean([bce(row[k], 0) for k in rivals[own]])) / 2
        for own, row in zip(LABELS, logits, strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_outlier_exposure_of_one_class_is_binary() -> None:
    got, logits = exposed(CLASSES[:1], [0, -1, -1, 0, 0, -1])
    expected = [bce(row[0], float(n in (0, 3, 4))) for n, row in enumerate(logits)]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_options_out_of_range_are_refused_by_name() -> None:
    good = {"classes": "id", "mixup": 0.5, "centres": 2, "scale": None}
    good["margin"] = 0.0
    for name, value in (("mixup", 2), ("centres", 0), ("scale", 0), ("margin", -1)):
        with pytest.raises(AsdError, match=rf"loss\.{name}="):
            ClassificationLoss(**{**good, name: value})  # type: ignore[arg-type]
    with pytest.raises(AsdError, match=r"loss\.sources"):
        OutlierExposure("fan")
    with pytest.raises(AsdError, match=r"no outliers.*ToyCar/01"):
        OutlierExposure([["ToyCar"]]).check(CLASSES[:4])
