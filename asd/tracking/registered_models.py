"""Models in MLflow's registry: ``models:/NAME@ALIAS`` and ``models:/NAME/VERSION``."""

from __future__ import annotations

import logging
from pathlib import Path

from asd.errors import AsdError
from asd.options import check_no_secret
from asd.tracking.mlflow_store import Tracking, answering

log = logging.getLogger(__name__)


def registered_checkpoint(address: str, tracking_uri: str | None, into: Path) -> Path:
    """Copy the ``model.ckpt`` of a registered model, wherever it lies among its artifacts.

    Args:
        address: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        tracking_uri: of the registry; None: as ``conf/tracking/mlflow.yaml`` says.
        into: folder to copy to.

    Raises:
        AsdError: the registry cannot be reached, or has no such model with one ``model.ckpt``.
    """
    check_no_secret("--tracking-uri", tracking_uri)
    import mlflow

    tracking = Tracking.configured(tracking_uri)
    if tracking.embedded and not Path(tracking.uri.removeprefix("sqlite:///")).exists():
        raise AsdError(f"{tracking.uri}: no such database; give --tracking-uri")
    mlflow.set_tracking_uri(tracking.uri)
    with answering(tracking):
        copied = mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(into))
    found = sorted(Path(copied).rglob("model.ckpt"))
    if len(found) != 1:
        raise AsdError(f"{address}: has {len(found)} files model.ckpt among its artifacts, not one")
    log.info("%s is %s", address, found[0])
    return found[0]
