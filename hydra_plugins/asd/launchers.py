"""``hydra/launcher=joblib``, ``submitit_slurm`` and ``ray``: Hydra looks for its plugins here."""

from __future__ import annotations

from asd.sweeps import local_workers, ray_workers, slurm_workers


class JoblibLauncher(local_workers.LocalWorkers):
    """Several workers on this machine."""


class SlurmLauncher(slurm_workers.SlurmWorkers):
    """Workers as jobs of Slurm."""


class RayLauncher(ray_workers.RayWorkers):
    """Workers as tasks of a Ray cluster."""
