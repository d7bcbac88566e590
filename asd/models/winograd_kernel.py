"""The compiled loops around the products of ``asd.models.winograd``; imports numba at its top.

Images are [n, rows, columns, channels]. Tiles of 4 x 4 outputs are numbered image by image, row by
row; a tile sees 6 x 6 inputs, those outside the image being 0. Both loops take the tiles from
``first`` to ``last``; the first one's products stand first in ``products`` [36, tiles, channels].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from asd.frontends.compiled import CONTRACT, compiled


@njit(inline="always")  # type: ignore[untyped-decorator]
def _six(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, two: Any, four: Any, five: Any) -> Any:
    """Six inputs of one row or column times B' of F(4, 3)."""
    even, odd = e - four * c, d - four * b
    inner, outer = e - c, two * (d - b)
    return (
        four * a - five * c + e,
        even + odd,
        even - odd,
        inner + outer,
        inner - outer,
        four * b - five * d + f,
    )


@njit(inline="always")  # type: ignore[untyped-decorator]
def _four(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, two: Any, four: Any, eight: Any) -> Any:
    """Six products of one row or column times A' of F(4, 3)."""
    plus, minus = b + c, b - c
    wide, tilted = d + e, d - e
    return a + plus + wide, minus + two * tilted, plus + four * wide, minus + eight * tilted + f


def _scatter(x: np.ndarray, first: int, last: int, products: np.ndarray) -> None:
    """Write B' d B of each tile's inputs d."""
    rows, columns, channels = x.shape[1:]
    across = (columns + 3) // 4
    each = (rows + 3) // 4 * across
    zero, two = x.dtype.type(0), x.dtype.type(2)
    four, five = x.dtype.type(4), x.dtype.type(5)
    inputs = np.empty((6, channels), x.dtype)
    half = np.empty((6, 6, channels), x.dtype)
    for tile in range(first, last):
        image, place = tile // each, tile % each
        top, left = place // across * 4 - 1, place % across * 4 - 1
        at = tile - first
        inside = top >= 0 and top + 6 <= rows
        for j in range(6):
            column = left + j
            if inside and 0 <= column < columns:
                for n in range(channels):
                    made = _six(
                        x[image, top, column, n],
                        x[image, top + 1, column, n],
                        x[image, top + 2, column, n],
                        x[image, top + 3, column, n],
                        x[image, top + 4, column, n],
                        x[image, top + 5, column, n],
                        two, four, five,
                    )  # fmt: skip
                    for i in range(6):
                        half[i, j, n] = made[i]
                continue
            for i in range(6):
                if 0 <= top + i < rows and 0 <= column < columns:
                    for n in range(channels):
                        inputs[i, n] = x[image, top + i, column, n]
                else:
                    for n in range(channels):
                        inputs[i, n] = zero
            for n in range(channels):
                made = _six(
                    inputs[0, n], inputs[1, n], inputs[2, n], inputs[3, n], inputs[4, n],
                    inputs[5, n], two, four, five,
                )  # fmt: skip
                for i in range(6):
                    half[i, j, n] = made[i]
        for i in range(6):
            for n in range(channels):
                made = _six(
                    half[i, 0, n], half[i, 1, n], half[i, 2, n], half[i, 3, n], half[i, 4, n],
                    half[i, 5, n], two, four, five,
                )  # fmt: skip
                for j in range(6):
                    products[6 * i + j, at, n] = made[j]


def _gather(
    products: np.ndarray, bias: np.ndarray, least: float, first: int, last: int, y: np.ndarray
) -> None:
    """Write A' m A of each tile's products m, plus bias, at least ``least``, into the image y."""
    rows, columns, channels = y.shape[1:]
    across = (columns + 3) // 4
    each = (rows + 3) // 4 * across
    floor, two = y.dtype.type(least), y.dtype.type(2)
    four, eight = y.dtype.type(4), y.dtype.type(8)
    half = np.empty((4, 6, channels), y.dtype)
    outputs = np.empty((4, 4, channels), y.dtype)
    for tile in range(first, last):
        image, place = tile // each, tile % each
        top, left = place // across * 4, place % across * 4
        at = tile - first
        for j in range(6):
            for n in range(channels):
                made = _four(
                    products[j, at, n], products[6 + j, at, n], products[12 + j, at, n],
                    products[18 + j, at, n], products[24 + j, at, n], products[30 + j, at, n],
                    two, four, eight,
                )  # fmt: skip
                for i in range(4):
                    half[i, j, n] = made[i]
        for i in range(4):
            for n in range(channels):
                made = _four(
                    half[i, 0, n], half[i, 1, n], half[i, 2, n], half[i, 3, n], half[i, 4, n],
                    half[i, 5, n], two, four, eight,
                )  # fmt: skip
                for j in range(4):
                    outputs[i, j, n] = made[j] + bias[n]
        for i in range(min(4, rows - top)):
            for j in range(min(4, columns - left)):
                for n in range(channels):
                    value = outputs[i, j, n]
                    y[image, top + i, left + j, n] = floor if value < floor else value


scatter, gather = compiled(_scatter, fastmath=CONTRACT), compiled(_gather, fastmath=CONTRACT)
