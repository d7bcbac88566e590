"""The compiled inner loop of the gammatone front end.

This is the one module of ``asd.frontends`` that imports numba at its top; nothing imports it
before the first clip is filtered.

A compiler does not turn a loop over bands inside a recursion over samples into good code by
itself, so the kernel is written on vectors: one register of bands (32 bytes: 8 bands in float32,
4 in float64) passes over the whole clip before the next register does. On machines without such
registers LLVM splits them into smaller ones; without fused multiply-add it multiplies and adds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

VECTOR_BYTES = 32


class Vector(types.Type):
    """Numba type: as many numbers of one type as fill ``VECTOR_BYTES``."""

    def __init__(self, element: Any) -> None:
        self.element = element
        self.lanes = VECTOR_BYTES * 8 // element.bitwidth
        super().__init__(name=f"Vector({element} x {self.lanes})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """A Vector is an LLVM vector, so that it lives in a register."""

    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        element = dmm.lookup(fe_type.element).get_value_type()
        vector = ir.VectorType(element, fe_type.lanes)
        super().__init__(dmm, fe_type, vector)  # type: ignore[no-untyped-call]


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


@intrinsic
def _load(typing_context, array, index):  # type: ignore[no-untyped-def]
    """The vector that starts at ``array[index]`` (no bounds check, no negative index)."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = _address(context, builder, signature.args[0], *arguments)
        vector = context.get_value_type(signature.return_type)
        value = builder.load(builder.bitcast(place, vector.as_pointer()))
        value.align = array.dtype.bitwidth // 8
        return value

    return Vector(array.dtype)(array, types.intp), code


@intrinsic
def _spread(typing_context, array, index):  # type: ignore[no-untyped-def]
    """A vector with ``array[index]`` in every lane (no bounds check)."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        scalar = builder.load(_address(context, builder, signature.args[0], *arguments))
        vector = context.get_value_type(signature.return_type)
        nothing = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
        every = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
        return builder.shuffle_vector(first, nothing, every)

    return Vector(array.dtype)(array, types.intp), code


@intrinsic
def _store(typing_context, array, index, value):  # type: ignore[no-untyped-def]
    """Write a vector to ``array[index:]`` (no bounds check)."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = _address(context, builder, signature.args[0], *arguments[:2])
        vector = context.get_value_type(signature.args[2])
        written = builder.store(arguments[2], builder.bitcast(place, vector.as_pointer()))
        written.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), code


@intrinsic
def _add(typing_context, a, b):  # type: ignore[no-untyped-def]
    """``a + b``"""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fadd(*arguments)

    return a(a, b), code


@intrinsic
def _multiply_add(typing_context, a, b, c):  # type: ignore[no-untyped-def]
    """``a * b + c``, fused where the processor can."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(signature.return_type)
        name = f"llvm.fmuladd.v{vector.count}{vector.element.intrinsic_name}"
        kind = ir.FunctionType(vector, [vector] * 3)
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, name
        )
        return builder.call(function, arguments)

    return a(a, b, c), code


def _block_energies(
    wave: np.ndarray, coefficients: np.ndarray, near_one: np.ndarray, sensitive: int, block: int,
    energies: np.ndarray,
) -> None:  # fmt: skip
    """Filter a clip and sum the squares of every filter's output over blocks of samples.

    Four equal all-pole stages a, b, c, d, ``D = 1 - c1 z^-1 - c2 z^-2``, the last three of which
    are added up (``asd.frontends.gammatone.FilterBank``). Stage b works one sample behind
    stage a, and so on, so that the stages of one round do not wait for one another and the two
    delays come for nothing.

    The lowest bands (docs/frontends.md) use ``y[n] = y[n-1] + dy[n]`` with
    ``dy[n] = x[n] + e dy[n-1] - g y[n-1]``, ``g = 1 - c1 - c2``, ``e = -c2``: the same filter
    with one addition more a stage, exact to 1e-4 dB.

    Args:
        wave: [samples + 1], the last one 0; float32 or float64.
        coefficients: [4, bands], rows c1, c2, -s and q, of the same type.
        near_one: [2, bands], rows -g and e, of the same type.
        sensitive: the lowest bands that use ``near_one``; a multiple of the vector's lanes.
        block: samples in a block.
        energies: [blocks, bands] to be overwritten, C-contiguous, same type;
            blocks * block <= samples. Bands must be a multiple of the vector's lanes.
    """
    blocks, bands = energies.shape
    lanes = VECTOR_BYTES // wave.itemsize
    zero: Any = _spread(wave, len(wave) - 1)  # type: ignore[call-arg]
    for band in range(0, sensitive, lanes):
        g = _load(near_one, band)
        e = _load(near_one, bands + band)
        s = _load(coefficients, 2 * bands + band)
        q = _load(coefficients, 3 * bands + band)
        a, b, c, d = _spread(wave, 0), zero, zero, zero
        da, db, dc, dd = a, zero, zero, zero
        old_d = zero
        for number in range(blocks):
            energy = zero
            for i in range(number * block + 1, (number + 1) * block + 1):
                dd = _multiply_add(g, d, _multiply_add(e, dd, c))
                dc = _multiply_add(g, c, _multiply_add(e, dc, b))
                db = _multiply_add(g, b, _multiply_add(e, db, a))
                da = _multiply_add(g, a, _multiply_add(e, da, _spread(wave, i)))
                a, b = _add(a, da), _add(b, db)
                out = _multiply_add(q, old_d, _multiply_add(s, c, b))
                energy = _multiply_add(out, out, energy)
                old_d = d
                c, d = _add(c, dc), _add(d, dd)
            _store(energies, number * bands + band, energy)
    for band in range(sensitive, bands, lanes):
        c1 = _load(coefficients, band)
        c2 = _load(coefficients, bands + band)
        s = _load(coefficients, 2 * bands + band)
        q = _load(coefficients, 3 * bands + band)
        a, b, c, d = _spread(wave, 0), zero, zero, zero
        old_a, old_b, old_c, old_d = zero, zero, zero, zero
        for number in range(blocks):
            energy = zero
            for i in range(number * block + 1, (number + 1) * block + 1):
                new_a = _multiply_add(c1, a, _multiply_add(c2, old_a, _spread(wave, i)))
                new_b = _multiply_add(c1, b, _multiply_add(c2, old_b, a))
                new_c = _multiply_add(c1, c, _multiply_add(c2, old_c, b))
                new_d = _multiply_add(c1, d, _multiply_add(c2, old_d, c))
                out = _multiply_add(q, old_d, _multiply_add(s, c, new_b))
                energy = _multiply_add(out, out, energy)
                old_a, old_b, old_c, old_d = a, b, c, d
                a, b, c, d = new_a, new_b, new_c, new_d
            _store(energies, number * bands + band, energy)


# Compiled on the first call, run without Python's lock, kept on disk where that can be.
_options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
try:
    block_energies = njit(cache=True, **_options)(_block_energies)
except RuntimeError:  # numba's "no locator available": nowhere to write
    block_energies = njit(**_options)(_block_energies)
