"""What a new MLflow experiment brings along: its kind, what it is, and a view with the headlines.

MLflow 3 shows no metric until columns are chosen, and stores views that users save as tags of the
experiment. So one is stored from the start: "Views", then its name.
"""

from __future__ import annotations

import base64
import json
import zlib

from asd.scoring.metrics import PAPER_ORDER

VIEW = "headline"  # the key in addresses: ...#/experiments/ID/runs?viewStateShareKey=headline

_DESCRIPTION = """Anomalous sound detection: one run a system and seed. Files are the truth: each \
run's folder holds what is here. In **Views**, *Headline metrics* shows AUC and pAUC.

- `auc/mean`, `pauc/mean`: means over machine types; `auc/fan`, ...: over the IDs of one type
- `id_auc/fan/id_00`, ...: one machine ID
- `auc_pooled/...`, `auc_harmonic/...`, `pauc_eq3/...`: further views of the same scores
- `train/...`, `val/...`: losses an epoch
"""


def experiment_tags() -> dict[str, str]:
    """Tags for ``MlflowClient.create_experiment``."""
    columns = ["auc/mean", "pauc/mean", *(f"auc/{machine}" for machine in PAPER_ORDER)]
    selected = [f"metrics.`{name}`" for name in columns]
    selected += ["params.`system`", "params.`seed`", "attributes.`Dataset`"]
    state = {
        "orderByKey": "metrics.`auc/mean`",
        "orderByAsc": False,
        "selectedColumns": selected,
        "columnOrder": selected,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    view = {
        "name": "Headline metrics",
        "createdAt": 0,
        "updatedAt": 0,
        "state": f"deflate;{packed}",
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": _DESCRIPTION,
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }
