"""The feature store: features of a clip are computed once, and shared by all runs and processes.

``store.py`` is what the rest of the code uses, ``part.py`` a part's file on disk; ``batches.py``
cuts windows.
"""

from asd.data.manifest import parts_of
from asd.features.part import Features
from asd.features.store import FeatureStore, clip_features

__all__ = ["FeatureStore", "Features", "clip_features", "parts_of"]
