"""``hydra/launcher=joblib``, ``submitit_slurm`` and ``ray``: Hydra looks for its plugins here."""

from __future__ import annotations

from asd.sweeps.local_workers import LocalWorkers


class JoblibLauncher(LocalWorkers):
    """Several workers on this machine."""
