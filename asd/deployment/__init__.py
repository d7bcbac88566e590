"""A trained detector away from its training: one ONNX file, its runner, the model registry."""
