"""Sound models of the simulated corpus: primitives, machines, background, builder."""

GENERATOR_VERSION = 3  # raised when any sound changes: it is part of a corpus's folder name
