"""``hydra/launcher=ray``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hydra.core.utils import JobReturn

from asd.sweeps.launching import Job, StreamingLauncher


class RayLauncher(StreamingLauncher):
    """Each run a task of a Ray cluster (``asd.sweeps.ray_cluster``).

    Args:
        init: options of ``ray.init``.
        remote: options of ``ray.remote``.
        parallelism: runs at once; None: as many as the cluster has room for.
    """

    def __init__(
        self, init: dict[str, Any], remote: dict[str, Any], parallelism: int | None
    ) -> None:
        self.init = init
        self.remote = remote
        self.parallelism = parallelism

    def stream(self, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
        """See ``StreamingLauncher.stream``."""
        from omegaconf import OmegaConf

        from asd.sweeps.ray_cluster import RayCluster, run_on_ray

        options = OmegaConf.create({"init": self.init, "remote": self.remote})
        plain: Any = OmegaConf.to_container(options, resolve=True)
        cluster = RayCluster(plain["init"], plain["remote"], self.parallelism)
        yield from run_on_ray(jobs, self.packet, cluster)
