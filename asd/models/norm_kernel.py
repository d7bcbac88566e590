"""The compiled loops of batch norm with ReLU, over a matrix of rows and columns.

It imports numba at its top; nothing imports it before a model is trained on a CPU. All loops take
blocks of rows, ``first`` to ``last`` of ``rows`` rows each, so that threads can share them and sums
do not depend on how many threads there are. Each makes the rectified value anew from ``x`` rather
than read it: memory is slower than arithmetic here.
"""

from __future__ import annotations

import numpy as np

from asd.frontends.compiled import CONTRACT, compiled

# Rows that are summed in the array's own precision before the sum goes on in float64.
_RUN = 256


def _moments(
    x: np.ndarray, about: np.ndarray, rows: int, first: int, last: int, sums: np.ndarray
) -> None:
    """``sums`` [blocks, 2, columns], zeros: add x - about, and its square."""
    count, width = x.shape
    part = np.empty((2, width), x.dtype)
    for block in range(first, last):
        end = min((block + 1) * rows, count)
        for begin in range(block * rows, end, _RUN):
            part[:] = 0
            for row in range(begin, min(begin + _RUN, end)):
                for c in range(width):
                    value = x[row, c] - about[c]
                    part[0, c] += value
                    part[1, c] += value * value
            for c in range(width):
                sums[block, 0, c] += part[0, c]
                sums[block, 1, c] += part[1, c]


def _rectify(
    x: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    rows: int,
    first: int,
    last: int,
    y: np.ndarray,
) -> None:
    """y = max(0, scale x + offset); what is not a number stays so."""
    count, width = x.shape
    zero = x.dtype.type(0)
    for row in range(first * rows, min(last * rows, count)):
        for c in range(width):
            value = x[row, c] * scale[c] + offset[c]
            y[row, c] = zero if value <= zero else value


def _slopes(
    x: np.ndarray,
    dy: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    mean: np.ndarray,
    rows: int,
    first: int,
    last: int,
    sums: np.ndarray,
) -> None:
    """``sums`` [blocks, 2, columns], zeros: add dy where y > 0, and that times x - mean."""
    count, width = x.shape
    zero = x.dtype.type(0)
    part = np.empty((2, width), x.dtype)
    for block in range(first, last):
        end = min((block + 1) * rows, count)
        for begin in range(block * rows, end, _RUN):
            part[:] = 0
            for row in range(begin, min(begin + _RUN, end)):
                for c in range(width):
                    value = x[row, c] * scale[c] + offset[c]
                    slope = zero if value <= zero else dy[row, c]
                    part[0, c] += slope
                    part[1, c] += slope * (x[row, c] - mean[c])
            for c in range(width):
                sums[block, 0, c] += part[0, c]
                sums[block, 1, c] += part[1, c]


def _backward(
    x: np.ndarray,
    dy: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    tilt: np.ndarray,
    level: np.ndarray,
    rows: int,
    first: int,
    last: int,
    dx: np.ndarray,
) -> None:
    """dx = scale dy (where y > 0) + tilt x + level."""
    count, width = x.shape
    zero = x.dtype.type(0)
    for row in range(first * rows, min(last * rows, count)):
        for c in range(width):
            value = x[row, c] * scale[c] + offset[c]
            slope = zero if value <= zero else scale[c] * dy[row, c]
            dx[row, c] = slope + (x[row, c] * tilt[c] + level[c])


moments = compiled(_moments, fastmath=CONTRACT)
rectify = compiled(_rectify, fastmath=CONTRACT)
slopes = compiled(_slopes, fastmath=CONTRACT)
backward = compiled(_backward, fastmath=CONTRACT)
