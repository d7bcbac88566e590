"""Hydra's way to our sweepers; Hydra imports these files at every start."""
