"""Processor time by what it was spent for: the page, the browser around it, S3, the control plane, the relay. Linux alone.

The kernel counts in ticks of 10 ms. It adds the time of a process that has ended to that of the one that started it, so nothing is
missed; but a page's, once it is closed, becomes that of the rest of the browser.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE, BROWSER, S3, CONTROL_PLANE, RELAY, PEER = (
    "page and its workers",
    "rest of the browser",
    "S3",
    "control plane",
    "relay",
    "peer",
)
# What fields of /proc/*/stat hold, counted from the state on, which follows the name: see proc_pid_stat(5).
PARENT, OWN, COLLECTED = 1, slice(11, 13), slice(13, 15)


@dataclass(frozen=True)
class Process:
    """A process, by the kernel's account."""

    parent: int
    # Seconds of its own, as user and in the kernel, and of the children that it collected.
    seconds: float
    command: tuple[str, ...]


# Says what a process of a tree is there for.
Role = Callable[[Process], str]


def of_browser(process: Process) -> str:
    """Return the role of one of Chromium's: a page's scripts and workers run in its renderer."""
    # Chromium joins the words of those that it forks.
    return PAGE if any("--type=renderer" in word for word in process.command) else BROWSER


def of_site(process: Process) -> str:
    """Return the role of one of those that `make up` started."""
    return S3 if "local_aws" in process.command else CONTROL_PLANE


def always(role: str) -> Role:
    """Return what gives each process of a tree this role."""
    return lambda process: role


def by_role(roots: Mapping[int, Role]) -> dict[str, float]:
    """Return the seconds used since their start by these processes and all that they started, by role."""
    processes, seconds = _processes(), defaultdict[str, float](float)
    children = defaultdict[int, list[int]](list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    for root, role in roots.items():
        for pid in _tree(root, children):
            if (found := processes.get(pid)) is not None:
                seconds[role(found)] += found.seconds
    return dict(seconds)


@contextmanager
def spent(roots: Mapping[int, Role]) -> Iterator[dict[str, float]]:
    """Give a dictionary that holds, once the block has ended, the seconds that each role used in it."""
    before = by_role(roots)
    found = dict[str, float]()
    try:
        yield found
    finally:
        after = by_role(roots)
        found |= {role: round(after[role] - before.get(role, 0.0), 2) for role in after}


def _tree(root: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield root
    for child in children.get(root, ()):
        yield from _tree(child, children)


def _processes() -> dict[int, Process]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, command = (folder / "stat").read_text(errors="replace"), (folder / "cmdline").read_bytes()
        except OSError:
            # It has ended since it was listed.
            continue
        # The name before may hold blanks and brackets.
        fields = stat.rpartition(")")[2].split()
        ticks = sum(int(field) for field in (*fields[OWN], *fields[COLLECTED]))
        words = tuple(command.decode(errors="replace").split("\0"))
        found[int(folder.name)] = Process(int(fields[PARENT]), ticks / TICKS_A_SECOND, words)
    return found
