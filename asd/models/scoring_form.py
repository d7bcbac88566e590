"""A detector as it scores fastest: the same function of a clip, but for rounding."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from asd.errors import AsdError
from asd.models.detector import Detector
from asd.models.winograd import WinogradConv2d

FORMS = ("auto", "plain")

# Convolutions of fewer channels were not faster by Winograd's way (docs/performance.md).
_WINOGRAD_CHANNELS = 32


def scoring_form(detector: Detector, form: str = "auto") -> Detector:
    """A copy whose batch norms are part of the layers before them.

    On a CPU, wide convolutions are also done by Winograd's way. Images are channels last, which
    was faster forward at every size there, and is expected to be on a GPU.

    Args:
        detector: trained, in evaluation mode; left as it is.
        form: ``auto``, or ``plain``: only the memory format.

    Raises:
        AsdError: another form.
    """
    if form not in FORMS:
        raise AsdError(f"scoring.form={form}: must be one of {', '.join(FORMS)}")
    made = copy.deepcopy(detector).eval().requires_grad_(False)
    if form == "auto":
        _fold_batch_norms(made.network)
        if made.device.type == "cpu":
            _use_winograd(made.network)
    made.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def _blocks(network: nn.Module) -> list[nn.Sequential]:
    """The innermost sequences of layers, in order."""
    sequences = [m for m in network.modules() if isinstance(m, nn.Sequential)]
    return [s for s in sequences if not any(isinstance(c, nn.Sequential) for c in s)]


def _fold_batch_norms(network: nn.Module) -> None:
    for block in _blocks(network):
        for i in range(1, len(block)):
            norm = block[i]
            before = block[i - 1]
            if isinstance(norm, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                block[i - 1] = fuse_conv_bn_eval(before, norm)
            elif isinstance(norm, nn.BatchNorm1d) and isinstance(before, nn.Linear):
                block[i - 1] = fuse_linear_bn_eval(before, norm)
            else:
                continue
            block[i] = nn.Identity()


def _use_winograd(network: nn.Module) -> None:
    upsampled = False  # the convolution after an upsampling is done together with it
    for block in _blocks(network):
        layers = list(block)
        for i, layer in enumerate(layers):
            if not upsampled and WinogradConv2d.suits(layer, _WINOGRAD_CHANNELS):
                assert isinstance(layer, nn.Conv2d)
                after = (m for m in layers[i + 1 :] if not isinstance(m, nn.Identity))
                following = next(after, None)
                block[i] = WinogradConv2d(layer, isinstance(following, nn.ReLU))
            if not isinstance(layer, nn.Identity | nn.ReLU):
                upsampled = isinstance(layer, nn.Upsample)
