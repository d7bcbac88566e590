"""Pictures of a run and of a grid of runs: pure functions of files."""
