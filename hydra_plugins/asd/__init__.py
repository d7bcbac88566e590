"""Hydra's way to our sweepers and launchers; Hydra imports these files at every start."""
