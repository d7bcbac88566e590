from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
if "keep" in sys.argv:
    from asd.training.speed import keep_freed_memory
    keep_freed_memory()
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = np.empty(128 << 20, np.uint8)
    array[::4096] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
pages()
print(pages())
if "give" in sys.argv:
    from asd.training.speed import give_back_memory
    give_back_memory()
    print(pages())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is told, on Linux")
def test_memory_that_was_freed_is_used_again() -> None:
    counts = []
    for mode in ([], ["keep", "give"]):
        command = [sys.executable, "-c", FAULTS, *mode]
        printed = subprocess.run(command, check=True, capture_output=True).stdout
        counts += [int(line) for line in printed.split()]
    # 32,768 pages of 4 KB, unless the system hands out huge ones
    usual, kept, given_back = counts
    assert kept < 10
    assert usual > kept
    assert given_back > kept
