"""Which device trains, and in which precision."""

from __future__ import annotations

import torch

from asd.errors import AsdError


def choose_device(accelerator: str) -> torch.device:
    """The device of ``trainer.accelerator``.

    Raises:
        AsdError: a GPU is asked for and there is none.
    """
    gpu = torch.cuda.is_available()
    if accelerator == "gpu" and not gpu:
        raise AsdError("trainer.accelerator=gpu: torch sees no GPU; use auto or cpu")
    return torch.device("cuda" if gpu and accelerator != "cpu" else "cpu")


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device has no hardware for.

    Raises:
        AsdError: bf16 on a CPU without it (measured 7 to 17 times slower than float32).
    """
    if precision == "bf16-mixed" and device.type == "cpu" and not _cpu_has_bfloat16():
        raise AsdError(
            "trainer.precision=bf16-mixed: this CPU has no bfloat16 arithmetic and would be many "
            "times slower; use trainer.precision=32-true, or a GPU"
        )


def _cpu_has_bfloat16() -> bool:
    """AVX-512 BF16 or AMX."""
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in tests)
