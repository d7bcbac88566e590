"""What a result depends on besides its config: code, packages, machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from asd.cores import allowed_cores
from asd.secrets import redacted


def git_commit() -> str:
    """Commit of the code that runs, ``+changes`` if the tree differs from it, or ``unknown``."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch", "--", ".."]
    command += [":(exclude)../*.json"]  # such as the plan of asd.preregister, which is no code
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    commit, *rest = said.splitlines()  # "# branch.oid COMMIT", the branch, a line a change
    return commit.split()[-1] + ("+changes" if any(line[0] != "#" for line in rest) else "")


def device_name(device_type: str) -> str:
    """The GPU's name, or the processor's with its cores."""
    if device_type == "cuda":
        import torch

        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    name = next(iter(models), platform.processor() or platform.machine())
    return f"{name}, {allowed_cores()} cores"


def environment(device_type: str) -> dict[str, Any]:
    """Code, packages and machine as one record."""
    return {
        "git_commit": git_commit(),
        "command": [redacted(word) for word in sys.argv],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device_name(device_type),
        "place": os.environ.get("ASD_PLACE", platform.node()),  # a scheduler's job, or the machine
        "packages": dict(sorted((one.name, one.version) for one in distributions())),
    }


def peak_memory_mb(device_type: str) -> dict[str, float]:
    """Most memory held so far: of the process, and of the GPU when one is used."""
    try:
        import resource
    except ImportError:  # Windows does not say
        result = {}
    else:
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        result = {"peak_memory_mb": round(peak, 1)}
    if device_type == "cuda":
        import torch

        result["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return result
