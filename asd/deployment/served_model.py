"""An exported model as MLflow serves it: ``asd.register`` logs this very file."""

from __future__ import annotations

import base64
import io
import runpy
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class ServedModel(PythonModel):  # type: ignore[misc]
    """Rows of ``audio``, a WAV in base64, and maybe ``machine`` -> what ``OnnxRunner`` says."""

    def load_context(self, context: Any) -> None:
        """Open the model by the runner that was logged with it."""
        runner = runpy.run_path(context.artifacts["runner"])
        self.runner = runner["OnnxRunner"](context.artifacts["onnx"])

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Any = None
    ) -> list[dict[str, Any]]:
        """A row's score, p_value, threshold and alarm; one bad row refuses the request (400)."""
        said = []
        for number, row in enumerate(model_input.fillna("").to_dict("records")):
            try:  # ClipError and binascii's are ValueErrors
                wave = self.runner.read(io.BytesIO(base64.b64decode(row["audio"], validate=True)))
                said.append(self.runner.score(wave, row.get("machine") or None))
            except ValueError as error:
                message = f"row {number}: {error}"
                raise MlflowException.invalid_parameter_value(message) from error
        return said


set_model(ServedModel())
