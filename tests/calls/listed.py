"""The list of calls, and what the tests recorded, as plain data."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent / "listed.toml"
# Which process makes a call decides by which role it is made on a host (docs/threat-model.md): commands run as the worker's user.
WEB, WORKER, RESIDENT = "web", "worker", "resident"
# What an engineer runs with rights of their own, beside the host.
BY_HAND = frozenset({"demo", "legacy"})


@dataclass(frozen=True, order=True)
class Recorded:
    """One kind of call: which process made it, with whose credentials, and its name as `service:Operation`."""

    process: str
    principal: str
    call: str


@dataclass(frozen=True)
class Listed:
    """One entry of the list: a call, the IAM actions that AWS asks for it, and examples of the resources that it is made on."""

    process: str
    principal: str
    call: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    # The condition keys that the call carries.
    context: Mapping[str, Any]
    # Why no test here provokes it; empty where one does.
    only_on_aws: str
    # Why the role may not, where the process does without; empty where it may.
    refused: str

    @property
    def key(self) -> Recorded:
        """What it is compared by."""
        return Recorded(self.process, self.principal, self.call)


def read_list(path: Path = LIST) -> list[Listed]:
    """Read the checked-in list. Raises ValueError for an entry that says too little."""
    found = []
    for section, entries in tomllib.loads(path.read_text("utf-8")).items():
        process, _, principal = section.partition("-as-")
        for call, entry in entries.items():
            actions = entry.get("actions", [] if principal else [call])
            resources = entry.get("on", [])
            if not principal and bool(actions) != bool(resources):
                raise ValueError(f"{path.name}: {section}: {call} names no resource that it is made on.")
            found.append(
                Listed(
                    process,
                    principal or "own",
                    call,
                    tuple(actions),
                    tuple(resources),
                    entry.get("with", {}),
                    entry.get("only_on_aws", ""),
                    entry.get("refused", ""),
                )
            )
    return found


def read_recordings(folder: Path) -> set[Recorded]:
    """What the processes wrote down, a command's calls as the worker's."""
    found = set()
    for file in folder.glob("*.calls"):
        for line in file.read_text("utf-8").splitlines():
            process, principal, call = line.split(" ", 2)
            if process in BY_HAND:
                continue
            found.add(Recorded(process if process in (WEB, RESIDENT) else WORKER, principal, call))
    return found


def unlisted(recorded: Iterable[Recorded], entries: Iterable[Listed]) -> list[Recorded]:
    """What was recorded and is not in the list."""
    known = {entry.key for entry in entries}
    return sorted(set(recorded) - known)


def line_to_add(call: Recorded) -> str:
    """What the list would say of it."""
    section = call.process if call.principal == "own" else f"{call.process}-as-{call.principal}"
    value = '{ on = ["arn:..."] }' if call.principal == "own" else "{}"
    return f'in [{section}]:  "{call.call}" = {value}'
