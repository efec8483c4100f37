"""Runs a command and ends it, with everything that it started, when hwflow dies.

Run as a script, `python leash.py PARENT COMMAND...`, at the head of a process group. A killed
hwflow can end nobody, and the kernel's parent-death signal reaches a child but not the child's
children (make's compilers); so the signal comes here, and here it is passed on to the group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def end_group(*_: object) -> None:
    """Kill the process group, this process included."""
    os.killpg(0, signal.SIGKILL)


def stay(*_: object) -> None:
    """Outlive a signal to the group, to report the command's status."""


def main(parent: int, command: list[str]) -> int:
    """Run the command; its exit status, 128 + N when signal N ended it."""
    signal.signal(signal.SIGHUP, end_group)
    # Handlers, unlike ignored signals, are back to their defaults in the command.
    signal.signal(signal.SIGTERM, stay)
    signal.signal(signal.SIGINT, stay)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:  # It died before it could be watched.
        end_group()
    status = subprocess.call(command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
