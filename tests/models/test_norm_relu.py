"""Batch norm with its ReLU against torch's two layers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from asd.errors import AsdError
from asd.models.conv_autoencoder import ConvAutoencoder
from asd.models.norm_relu import can_fuse, norm_relu


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def norm_of(channels: int, momentum: float | None = 0.1, dtype: torch.dtype = torch.float64):
    made = nn.BatchNorm2d(channels, 1e-3, momentum, dtype=dtype)
    with torch.no_grad():
        made.weight.uniform_(-1, 2)  # one of a few channels is turned around
        made.bias.normal_()
    return made


def image_of(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    image = 3 * torch.randn(*shape, dtype=dtype) + 50
    return image.contiguous(memory_format=torch.channels_last)


def both_ways(image: Tensor, norm: nn.BatchNorm2d, fused: bool) -> list[Tensor]:
    """Output, gradients of image and parameters, running statistics."""
    image = image.clone(memory_format=torch.preserve_format).requires_grad_()
    norm.zero_grad()
    y = norm_relu(image, norm) if fused else torch.relu(norm(image))
    generator = torch.Generator().manual_seed(1)
    # as a layer after it would send it: in another memory format
    weights = torch.randn(y.shape, dtype=y.dtype, generator=generator)
    (y * weights).sum().backward()
    return [y.detach(), image.grad, norm.weight.grad, norm.bias.grad, *norm.state_dict().values()]


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    "shape",
    [(3, 8, 4, 6), (2, 5, 3, 7), (1, 1, 9, 5), (4, 130, 2, 2), (2, 3, 1, 1), (9, 16, 64, 52)],
)
def test_it_is_batch_norm_and_relu(shape: tuple[int, ...], momentum: float | None) -> None:
    torch.manual_seed(0)
    image = image_of(*shape)
    ours = norm_of(shape[1], momentum)
    theirs = nn.BatchNorm2d(shape[1], 1e-3, momentum, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    assert can_fuse(ours, image)
    for _ in range(2):  # the second time with other running statistics
        got, expected = both_ways(image, ours, True), both_ways(image, theirs, False)
        for a, b in zip(got, expected, strict=True):
            assert a.shape == b.shape
            assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)
    assert got[0].stride() == image.stride()


def test_float32_is_as_exact_as_torchs() -> None:
    torch.manual_seed(2)
    image = image_of(8, 8, 32, 40)
    norm = norm_of(8)
    exact = both_ways(image, norm, False)
    ours, theirs = (nn.BatchNorm2d(8, 1e-3, 0.1) for _ in range(2))
    for one in (ours, theirs):
        one.load_state_dict({**norm.state_dict(), "running_mean": torch.zeros(8)})
    got = both_ways(image.float(), ours, True)
    usual = both_ways(image.float(), theirs, False)
    for a, b, c in zip(got[:4], usual[:4], exact[:4], strict=True):
        assert (a - c).abs().max() <= 4 * (b - c).abs().max() + 1e-6


@pytest.mark.usefixtures("threads")
def test_numbers_do_not_depend_on_threads() -> None:
    torch.manual_seed(3)
    image = image_of(8, 16, 64, 100, dtype=torch.float32)  # several blocks
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        torch.manual_seed(4)
        results.append(both_ways(image, norm_of(16, dtype=torch.float32), True))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_what_is_not_a_number_stays_so() -> None:
    image = image_of(2, 2, 3, 3)
    image[0, 1, 0, 0] = torch.nan
    y = norm_relu(image, norm_of(2))
    assert not y[:, 0].isnan().any()
    assert y[:, 1].isnan().all()


def test_what_it_is_not_for() -> None:
    image, norm = image_of(2, 4, 3, 3), norm_of(4)
    assert can_fuse(norm, image)
    assert not can_fuse(norm, image.contiguous())
    assert not can_fuse(norm, image.float())
    assert not can_fuse(norm, image[:1, :, :1, :1])  # torch refuses a single value a channel
    assert not can_fuse(nn.ReLU(), image)
    assert not can_fuse(nn.SyncBatchNorm(4), image)
    assert not can_fuse(norm.eval(), image)
    float32 = norm_of(4, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_fuse(float32, image.float())
    assert can_fuse(float32, image.float())


def test_the_model_gives_the_same_in_either_form() -> None:
    options = {
        "filters": [4, 6], "pooling": [[2, 2], [2, 2]], "embedding": 7, "kernel": 3, "pool": "max",
        "upsampling": "nearest", "padding": "zeros", "dropout": 0.0, "norm_eps": 1e-3,
        "norm_momentum": 0.1, "initialisation": "glorot_uniform",
    }  # fmt: skip
    plain = ConvAutoencoder(8, 12, **options, norm_form="plain").double()
    fused = ConvAutoencoder(8, 12, **options).double()
    fused.load_state_dict(plain.state_dict())
    features = torch.randn(3, 12, 8, dtype=torch.float64)
    found = []
    for model in (plain, fused):
        model.to(memory_format=torch.channels_last)
        reconstruction, _ = model(features)
        (reconstruction - features).square().mean().backward()
        found.append((reconstruction.detach(), model))
    assert "NormRelu" in _graph(fused(features)[0]) and "NormRelu" not in _graph(plain(features)[0])
    assert torch.allclose(found[0][0], found[1][0], rtol=0, atol=1e-12)
    for (name, a), (_, b) in zip(plain.named_parameters(), fused.named_parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=0, atol=1e-12), name
    with pytest.raises(AsdError, match=r"model\.norm_form=fast"):
        ConvAutoencoder(8, 12, **options, norm_form="fast")


def _graph(tensor: Tensor) -> str:
    """Names of all backward functions."""
    names, left, seen = [], [tensor.grad_fn], set()
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.append(node.name())
            left += [n for n, _ in node.next_functions]
    return " ".join(names)
