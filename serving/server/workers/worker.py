"""Worker process: it ends with its supervisor."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
WORKERS_DIRECTORY = "VITRINE_WORKERS_DIRECTORY"


def terminate_with_parent() -> None:
    """Makes the kernel send SIGTERM to this process when its parent dies, so that no worker is left on the port."""
    if not sys.platform.startswith("linux"):
        return
    supervisor = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        os.kill(os.getpid(), signal.SIGTERM)
