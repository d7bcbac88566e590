"""``python -m asd.data.download``: fetch the real corpus, resumably, verified and atomically."""
