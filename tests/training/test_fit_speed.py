from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import BANDS, FRAMES, detector, largest_difference, options, trained
from torch.utils._python_dispatch import TorchDispatchMode

from asd.errors import AsdError
from asd.features.batches import Batch
from asd.training.lightning_module import DetectorTraining
from asd.training.speed import choose_device, prepare, resident, set_threads, step_flop

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "trainer",
    [{"memory_format": "channels_last"}, {"memory_format": "auto"}, {"fused_adam": False}],
)
def test_no_speed_option_changes_what_is_learnt(tmp_path: Path, trainer: dict[str, Any]) -> None:
    # in float64, where nothing but rounding may differ
    double = {"precision": "64-true"}
    expected = trained(tmp_path / "a", double)
    got = trained(tmp_path / "b", {**double, **trainer})
    assert largest_difference(expected, detector()) > 1e-3
    # checkpoints hold float64; the detector that is loaded has float32
    assert largest_difference(got, expected) < 1e-6


def test_a_run_goes_on_in_another_memory_format(tmp_path: Path) -> None:
    expected = trained(tmp_path / "a", {"precision": "64-true", "max_epochs": 4})
    there = {"precision": "64-true", "memory_format": "channels_last"}
    trained(tmp_path / "b", {**there, "max_epochs": 2})
    got = trained(tmp_path / "b", {"precision": "64-true", "max_epochs": 4})
    assert largest_difference(got, expected) < 1e-6


def test_flop_are_those_of_the_layers() -> None:
    # by hand, two for a multiplication and addition, pixels x kernel x channels in x out
    dense = 2 * 2 * 5 * (6 * 2 * 4)
    full, half, quarter = 8 * 16, 4 * 8, 2 * 4
    encoder = full * 9 * (1 * 4 + 4 * 4) + half * 9 * (4 * 6 + 6 * 6)
    plain = quarter * 9 * (6 * 6 + 6 * 6) + half * 9 * (6 * 4 + 4 * 4) + full * 9 * 4 * 1
    apart = detector()
    apart.network.upsampling_fused = False
    assert step_flop(apart, 1) == 3 * (dense + 2 * (encoder + plain))
    # fused: 16 products an input pixel instead of 9 an output pixel
    less = 2 * (9 * half - 16 * quarter) * 6 * 4 + 2 * (9 * full - 16 * half) * 4 * 1
    fused = detector()
    assert step_flop(fused, 7) == 21 * (dense + 2 * (encoder + plain) - less)
    assert fused.network.training


@pytest.mark.parametrize(
    ("threads", "cores", "flop", "expected"),
    [(None, "8", 1e8, 1), (None, "8", 3.5e9, 3), (None, "2", 1e12, 2), (3, "2", 1e6, 3)],
)
def test_threads_follow_the_size_of_a_step(
    threads: int | None,
    cores: str,
    flop: float,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", cores)
    try:
        set_threads(threads, flop)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("choice", "filters", "last"),
    [
        ("auto", [16, 64], True),
        ("auto", [4, 65], False),
        ("contiguous", [16, 64], False),
        ("channels_last", [4, 65], True),
    ],
)
def test_memory_format_follows_the_width(choice: str, filters: list[int], last: bool) -> None:
    laid_out = detector(filters=filters)
    prepare(laid_out, options(memory_format=choice), CPU)
    weight = laid_out.network.encoder[1][3].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == last
    assert weight.is_contiguous() != last


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cuda_graphs": True}, r"trainer\.cuda_graphs=true: for GPUs only"),
        ({"accelerator": "gpu"}, r"trainer\.accelerator=gpu: torch sees no GPU"),
        ({"precision": "bf16-mixed"}, r"trainer\.precision=bf16-mixed: .*=32-true"),
    ],
)
def test_what_cannot_be_had_is_named(
    changed: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(AsdError, match=message):
        choose_device(options(**changed))


def test_features_in_memory_are_not_copied() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    tensor = resident(values, CPU, 0.6)
    assert tensor.data_ptr() == values.ctypes.data
    assert tensor.tolist() == values.tolist()


class Waiting(TorchDispatchMode):
    """Notes operations for which the computer and a GPU have to wait for one another."""

    NAMES = ("lift_fresh", "_local_scalar_dense", "nonzero", "is_nonzero", "equal")

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in self.NAMES:
            self.noted.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_asks_nothing_of_the_device_and_sends_it_nothing() -> None:
    module = DetectorTraining(detector(), options())
    batch = Batch(torch.randn(4, FRAMES, BANDS), torch.zeros(4, dtype=torch.long))
    with Waiting() as waiting:
        for number in range(2):  # the second adds to sums that are there
            module.training_step(batch, number).backward()
    assert waiting.noted == []
    with Waiting() as waiting:
        torch.ones(1).new_tensor(3)  # a number that is sent
        torch.ones(1).item()  # and one that is read
    assert waiting.noted == ["lift_fresh", "_local_scalar_dense"]
