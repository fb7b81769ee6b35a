"""Release of the memory of unloaded versions: to Python's collector, and to the system.

A graph in Python is full of cycles, which only the collector frees, and what TensorFlow frees stays with malloc's
arenas. Without help both happen some time later, or never, so that memory grows with every version.
"""

import ctypes
import gc
import sys
import threading

_LOCK = threading.Lock()


def freeze_gc() -> None:
    """Excludes all present objects (modules, functions, types) from garbage collection for the life of the process.

    To be called once, when all is imported and no model is loaded: from then on a collection looks at little more
    than the models and takes milliseconds, during which no request is answered.
    """
    gc.collect()
    gc.freeze()


def release_memory() -> None:
    """Collects garbage, and returns free memory of malloc to the system."""
    with _LOCK:
        gc.collect()
        if _TRIM is not None:
            _TRIM(0)


def _malloc_trim() -> "ctypes._FuncPointer | None":
    """The `malloc_trim` of glibc; None where the C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


_TRIM = _malloc_trim()
