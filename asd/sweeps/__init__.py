"""Sweeps: many runs from one command, on one machine or many."""
