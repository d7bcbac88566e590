"""Import torchaudio, also where its wheel is a CUDA build and torch is not."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

_lock = threading.Lock()


def load_torchaudio() -> Any:
    """The torchaudio module.

    The package index offers torchaudio as a CUDA build only. Beside a CPU-only torch its compiled
    extension fails to load with an OSError. The parts written in torch (spectrograms, resampling,
    masking) do not need it, so it is then replaced by a module that says it is not there. Where
    the normal import works, this function does nothing else.
    """
    with _lock:
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            for name in [n for n in sys.modules if n.split(".")[0] == "torchaudio"]:
                del sys.modules[name]
            extension = sys.modules["torchaudio._extension"] = ModuleType("torchaudio._extension")
            vars(extension).update(
                _IS_TORCHAUDIO_EXT_AVAILABLE=False,
                _IS_ALIGN_AVAILABLE=False,
                _check_cuda_version=lambda: None,
                fail_if_no_align=lambda function: function,
            )
            return importlib.import_module("torchaudio")
