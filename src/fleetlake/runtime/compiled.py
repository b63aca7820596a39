"""What setup.py compiles of this package's C, as functions of Python. They release Python's lock while they run."""

from __future__ import annotations

import ctypes
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name(f"_compiled{sysconfig.get_config_var('EXT_SUFFIX')}")
POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t
Signatures = Mapping[str, tuple[Any, ...]]  # a function's name: what it returns, what it takes
FUNCTIONS: Signatures = {
    "take_events": (SIZE, *[POINTER] * 4, ctypes.c_int, POINTER, POINTER, SIZE, ctypes.c_int64, POINTER),
    "describe_records": (None, POINTER, SIZE, *[POINTER] * 6),
    "copy_payloads": (None, POINTER, SIZE, POINTER),
    "give_back": (None, POINTER, SIZE, POINTER),
    "produce": (SIZE, POINTER, POINTER, *[ctypes.c_char_p] * 3, SIZE, *[POINTER] * 4, SIZE, POINTER),
    "watch_next_producer": (POINTER, POINTER, POINTER, POINTER),
    "scan": (None, POINTER, POINTER, SIZE, POINTER, SIZE, POINTER),
    "write_words": (SIZE, *[POINTER] * 3, SIZE, POINTER, SIZE, POINTER, POINTER),
    "add_sines": (None, POINTER, SIZE, POINTER, POINTER, SIZE, POINTER),
    "copy_texts": (None, POINTER, POINTER, POINTER, SIZE, POINTER),
    "add_numbers": (None, POINTER, ctypes.c_int64, POINTER, ctypes.c_int64, SIZE, ctypes.c_uint64, POINTER),
    "add_texts": (None, POINTER, ctypes.c_int64, POINTER, POINTER, ctypes.c_int64, SIZE, ctypes.c_uint64, POINTER),
    "sum_hashes": (ctypes.c_uint64, POINTER, SIZE),
}


class NotPossible(Exception):
    """Why something that is compiled can't be had here."""


@cache
def compiled() -> Any:
    """FUNCTIONS as attributes. NotPossible if they were not built, or for another machine."""
    return load(PATH, FUNCTIONS)


def is_possible() -> bool:
    try:
        compiled()
    except NotPossible:
        return False
    return True


def load(path: Path, functions: Signatures) -> Any:
    """The library at `path`, its functions as attributes. NotPossible if it can't be loaded or lacks one."""
    try:
        library = ctypes.CDLL(str(path))
        for name, (returns, *takes) in functions.items():
            function = getattr(library, name)
            function.restype, function.argtypes = returns, takes
    except (OSError, AttributeError) as error:
        raise NotPossible(f"{path.name} can't be loaded: {error}") from error
    return library
