"""Which device trains."""

from __future__ import annotations

import torch

from asd.errors import AsdError
from asd.training.trainer_options import TrainerOptions


def choose_device(options: TrainerOptions) -> torch.device:
    """The device of ``trainer.accelerator``, which can do what the other options ask of it.

    Raises:
        AsdError: there is no GPU and one is needed; or bf16 on a CPU without it (measured 7 to 17
            times slower than float32).
    """
    gpu = torch.cuda.is_available()
    if options.accelerator == "gpu" and not gpu:
        raise AsdError("trainer.accelerator=gpu: torch sees no GPU; use auto or cpu")
    if gpu and options.accelerator != "cpu":
        return torch.device("cuda")
    if options.cuda_graphs:
        raise AsdError("trainer.cuda_graphs=true: for GPUs only")
    if options.precision == "bf16-mixed" and not cpu_has_bfloat16():
        raise AsdError(
            "trainer.precision=bf16-mixed: this CPU has no bfloat16 arithmetic and would be many "
            "times slower; use trainer.precision=32-true, or a GPU"
        )
    return torch.device("cpu")


def cpu_has_bfloat16() -> bool:
    """AVX-512 BF16 or AMX."""
    tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in tests)
