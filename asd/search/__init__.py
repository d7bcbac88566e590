"""Searches: trials of options, each a run, chosen by what earlier ones found (docs/search.md)."""
