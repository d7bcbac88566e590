"""The feature store: features of a clip are computed once, and shared by all runs and processes.

``store.py`` is what the rest of the code uses; ``part.py`` is a part's file on disk; ``build.py``
computes what is missing; ``command.py`` is the program ``python -m asd.features``.
"""

from asd.features.store import Features, FeatureStore, parts_of

__all__ = ["FeatureStore", "Features", "parts_of"]
