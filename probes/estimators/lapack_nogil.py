"""Three LAPACK routines called without the GIL.

SciPy's wrappers hold the GIL during the call, which blocks threads that fit other sites. `ctypes`
releases the GIL, and can call the function pointers that SciPy exports for Cython.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import cython_lapack

from probes.estimators.inputs import Floats

_BLOCK = 64  # columns per block of reflections


def _routine(name: str) -> Callable[..., None]:
    """The LAPACK subroutine of that name; all its arguments are pointers."""
    capsule, api = cython_lapack.__pyx_capi__[name], ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = (
        ctypes.c_char_p, [ctypes.py_object],
    )  # fmt: skip
    api.PyCapsule_GetPointer.restype, api.PyCapsule_GetPointer.argtypes = (
        ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p],
    )  # fmt: skip
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None)(address)


_DSYTRD, _DORMQR, _DPOSV = _routine("dsytrd"), _routine("dormqr"), _routine("dposv")


def tridiagonal(symmetric: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """S = Q T Qᵀ: the reflections of Q below the diagonal of a matrix [m, m] in Fortran's order,
    T's diagonal [m] and the one beside it [m − 1], and the reflections' scales [m − 1].
    """
    m = len(symmetric)
    packed = np.array(symmetric.T, dtype=np.float64, order="F")  # its transpose is itself
    diagonal, beside, scales = np.empty(m), np.empty(max(m - 1, 0)), np.empty(max(m - 1, 0))
    work = np.empty(max(1, m * _BLOCK))
    _call(_DSYTRD, b"L", m, packed, m, diagonal, beside, scales, work, len(work))
    return packed, diagonal, beside, scales


def turn(packed: Floats, scales: Floats, x: Floats, *, back: bool = False) -> Floats:
    """Q x, or Qᵀ x, [m, columns], of `tridiagonal`; Q leaves the first row as it is."""
    m, columns = x.shape
    out = np.array(x, dtype=np.float64, order="F")
    if len(scales) and columns:
        work = np.empty(_BLOCK * columns + _BLOCK * (_BLOCK + 1))
        below = m - 1
        _call(
            _DORMQR, b"L", b"T" if back else b"N", below, columns, below,
            packed[1:], m, scales, out[1:], m, work, len(work),
        )  # fmt: skip
    return out


def solve_positive(matrix: Floats, right: Floats) -> Floats:
    """S⁻¹ right of a positive definite matrix [m, m], which is overwritten; right [m, columns]."""
    out = np.array(right, dtype=np.float64, order="F")
    m, columns = out.shape
    if m and columns:
        _call(_DPOSV, b"L", m, columns, matrix, m, out, m)
    return out


def _call(routine: Callable[..., None], *arguments: Any) -> None:
    """Call `routine` with pointers to all arguments and to LAPACK's `info`; raise on failure."""
    info = ctypes.c_int(0)
    routine(*map(_pointer, arguments), ctypes.byref(info))
    if info.value:  # below 0: invalid argument; above 0: matrix not positive definite
        raise np.linalg.LinAlgError(f"LAPACK says info = {info.value}")


def _pointer(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, bytes):
        return ctypes.c_char_p(argument)
    return ctypes.byref(ctypes.c_int(argument))
