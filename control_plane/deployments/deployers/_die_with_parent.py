"""`python _die_with_parent.py command ...`: run a command that does not outlive the process that started this one.

Our standard input is a pipe from the worker. It ends when the worker does, even by SIGKILL; then the command and all its
children are ended too, so that no `cdk deploy` goes on that nobody watches.
"""

import os
import select
import signal
import subprocess
import sys


def main() -> None:
    """Run the command and exit with its status."""
    child_ended, tell_ended = os.pipe()
    os.set_blocking(tell_ended, False)
    signal.set_wakeup_fd(tell_ended, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    while process.poll() is None:
        readable, _, _ = select.select([sys.stdin.fileno(), child_ended], [], [], 1.0)
        if sys.stdin.fileno() in readable and not os.read(sys.stdin.fileno(), 1):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        if child_ended in readable:
            os.read(child_ended, 64)
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


if __name__ == "__main__":
    main()
