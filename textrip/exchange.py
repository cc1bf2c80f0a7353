"""Two paths that change places in one step, where the system can: Linux' renameat2."""

import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# Of a file system or a kernel that cannot.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def exchanged(first: Path, second: Path) -> bool:
    """Let two paths change places, so that nobody sees either of them missing; whether that is done.

    Raises:
        OSError: the system can, and refused.
    """
    rename = _renameat2()
    if rename is None:
        return False
    if not rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        return True
    import ctypes

    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


@cache
def _renameat2() -> Any:
    """The system's function; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    try:
        found = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # another C library
        return None
    found.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return found
