"""Eigenvectors of Gram matrices by SciPy's BLAS and LAPACK, with Python's lock released.

scipy.linalg.blas and scipy.linalg.lapack hold the lock for as long as a routine takes, so that
threads wait for each other. The addresses that SciPy gives to Cython code (scipy.linalg.cython_blas
and cython_lapack) are of the same routines, and a call through ctypes holds no lock.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_blas, cython_lapack

from hwflow.errors import HwflowError

Array = NDArray[np.float64]
Argument = str | int | float | NDArray[Any]


@cache
def _routine(name: str) -> Any:
    """A routine of BLAS or LAPACK; every argument is an address."""
    module = cython_blas if name in cython_blas.__pyx_capi__ else cython_lapack
    capsule = module.__pyx_capi__[name]
    api, objects = ctypes.pythonapi, ctypes.py_object
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, objects)(("PyCapsule_GetName", api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, objects, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    return ctypes.CFUNCTYPE(None)(pointer_of(capsule, name_of(capsule)))


def _call(name: str, *arguments: Argument) -> None:
    """Call a routine; arrays are changed in place, and numbers are not given back."""
    passed: list[Any] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            passed.append(ctypes.c_void_p(argument.ctypes.data))
        elif isinstance(argument, str):
            passed.append(ctypes.byref(ctypes.c_char(argument.encode())))
        elif isinstance(argument, int):
            passed.append(ctypes.byref(ctypes.c_int(argument)))
        else:
            passed.append(ctypes.byref(ctypes.c_double(argument)))
    _routine(name)(*passed)


def _call_lapack(name: str, *arguments: Argument) -> None:
    """Call a routine of LAPACK, whose last argument says whether it did it."""
    info = np.zeros(1, np.intc)
    _call(name, *arguments, info)
    if info[0]:
        raise HwflowError(
            f"LAPACK's {name} ended with info {info[0]}",
            hint="weights may be too large for float64 squares; lower learning_rate before",
        )


def gram(matrix: Array) -> Array:
    """Lower triangle of A A^T, column major, (n, n), of a matrix A (n, m) in either order."""
    rows, columns = matrix.shape
    product = np.zeros((rows, rows), order="F")
    by_rows = matrix.flags.c_contiguous
    if not by_rows:
        matrix = np.asfortranarray(matrix)
    form, step = ("T", columns) if by_rows else ("N", rows)
    _call("dsyrk", "L", form, rows, columns, 1.0, matrix, max(step, 1), 0.0, product, max(rows, 1))
    return product


class Tridiagonal:
    """A symmetric matrix (n, n) made tridiagonal, from which values and some vectors are cheap.

    Args:
        matrix: its lower triangle, column major.
    """

    def __init__(self, matrix: Array) -> None:
        self.size = size = len(matrix)
        self._reflectors = matrix.copy(order="F")
        self._scales = np.zeros(max(size - 1, 1))
        self._diagonal, self._beside = np.zeros(size), np.zeros(size)
        work = np.zeros(64 * size)
        _call_lapack(
            "dsytrd",
            *("L", size, self._reflectors, size, self._diagonal, self._beside, self._scales),
            *(work, len(work)),
        )

    def values(self) -> Array:
        """(n,) eigenvalues, ascending."""
        values, beside = self._diagonal.copy(), self._beside.copy()
        _call_lapack("dsterf", self.size, values, beside)
        return values

    def vectors(self, count: int) -> Array:
        """(n, count) eigenvectors of the greatest values, those of the greatest last.

        The tridiagonal matrix' vectors by relatively robust representations (dstemr), turned back
        by the reflectors.
        """
        size = self.size
        vectors, values = np.zeros((size, count), order="F"), np.zeros(size)
        found, supports = np.zeros(1, np.intc), np.zeros(2 * size, np.intc)
        work, places = np.zeros(max(18 * size, 64 * count)), np.zeros(10 * size, np.intc)
        _call_lapack(
            "dstemr",
            *("V", "I", size, self._diagonal.copy(), self._beside.copy()),
            *(0.0, 0.0, size - count + 1, size, found, values, vectors, size, count, supports),
            *(np.ones(1, np.intc), work, len(work), places, len(places)),
        )
        if size > 1:
            _call_lapack(
                "dormtr",
                *("L", "L", "N", size, count, self._reflectors, size, self._scales),
                *(vectors, size, work, len(work)),
            )
        return vectors
