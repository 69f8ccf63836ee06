"""Processes that end with their parent, even when that is killed: Linux sends them SIGTERM, prctl(2).

Elsewhere they live on, and the next start names what holds its ports.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process asked to stop once `parent`, which started it, has ended; at once if it has already."""
    dying_with(parent)()


def dying_with(parent: int) -> Callable[[], None]:
    """Return what a child calls before it becomes its program (`preexec_fn`), so that it ends with `parent`."""
    # Loaded here: between fork and exec a child should do as little as it can.
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        if library is not None:
            library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    return prepare
