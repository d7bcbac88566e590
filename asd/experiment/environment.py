"""What a result depends on besides its config: code, packages, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "asd", "torch", "torchaudio", "pytorch-lightning", "hydra-core", "omegaconf", "mlflow", "numpy",
    "scipy", "scikit-learn", "pandas", "gammatone", "numba", "soundfile", "optuna",
)  # fmt: skip


def git_commit() -> str:
    """Commit of the code that runs, ``+changes`` if the tree differs from it, or ``unknown``."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--", str(folder)) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def device_name(device_type: str) -> str:
    """The GPU's name, or the processor's with its cores."""
    if device_type == "cuda":
        import torch

        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def environment(device_type: str) -> dict[str, Any]:
    """Code, packages and machine as one record."""
    return {
        "git_commit": git_commit(),
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(device_type),
        "place": os.environ.get("ASD_PLACE", platform.node()),  # a scheduler's job, or the machine
        "packages": package_versions(),
    }


def peak_memory_mb(device_type: str) -> dict[str, float]:
    """Most memory held so far: of the process, and of the GPU when one is used."""
    scale = 1 if sys.platform == "darwin" else 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    result = {"peak_memory_mb": round(used / 2**20, 1)}
    if device_type == "cuda":
        import torch

        result["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return result
