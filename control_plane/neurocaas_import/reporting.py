"""Report of an import: as text for people, as JSON for programs, and as a file with a row for each entry."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from control_plane.base.csv_cells import csv_line
from control_plane.neurocaas_import.applying import StartedDeployments
from control_plane.neurocaas_import.entries import Entry, Fate, ImportRefused, shown
from control_plane.neurocaas_import.planning import ImportPlan, PlannedProfile
from control_plane.neurocaas_import.targets import PlannedAffiliate

COLUMNS = ("profile", "affiliate", "kind", "entry", "fate", "becomes", "why")
NOT_DONE = "Dry run: nothing was changed. Read what follows, then run it again with --apply."
ADOPT_FIRST = "People's keys of before do not work here. To keep them, adopt the live stack first (manage.py legacy adopt)."
NO_MANAGERS = "The predecessor knew no managers: make one in each group by `manage.py member manager <slug> <address>`."


def as_text(plan: ImportPlan, done: StartedDeployments | None) -> str:
    """Return the report as text."""
    lines = [f"{NOT_DONE}\n{ADOPT_FIRST}" if done is None else "Done; what AWS still does, `manage.py deployment list` shows."]
    lines += [*plan.remarks, ""]
    for planned in plan.profiles:
        lines += [*_profile_lines(planned), ""]
    lines += [f"{kind}: {_counted(counts)}" for kind, counts in _totals(plan).items()]
    if done is not None and done.deployments:
        lines += ["", *(f"{what}: deployment {number}" for what, number in done.deployments.items()), NO_MANAGERS]
    return "\n".join(lines)


def as_dict(plan: ImportPlan, done: StartedDeployments | None) -> dict[str, Any]:
    """Return the report as JSON."""
    return {
        "applied": done is not None,
        "remarks": plan.remarks,
        "profiles": [
            _entry(planned.profile.entry)
            | {
                "path": planned.profile.path,
                "affiliates": [
                    _entry(affiliate.entry)
                    | {
                        "people": [_entry(person.entry) for person in affiliate.people if person.entry.kind == "person"],
                        "addresses": [_entry(person.entry) for person in affiliate.people if person.entry.kind == "address"],
                        "analyses": [_entry(use.entry) for use in affiliate.uses],
                        "copies": affiliate.copies,
                    }
                    for affiliate in planned.affiliates
                ],
            }
            for planned in plan.profiles
        ],
        "totals": _totals(plan),
        "deployments": done.deployments if done else {},
    }


def rows(plan: ImportPlan) -> Iterator[tuple[str, ...]]:
    """Yield a row for each entry, in the order of COLUMNS."""
    for planned in plan.profiles:
        path = planned.profile.path
        yield _row(path, "", planned.profile.entry)
        for affiliate in planned.affiliates:
            for entry in (affiliate.entry, *affiliate.entries()):
                yield _row(path, affiliate.entry.name, entry)


def check_report_path(path: str) -> None:
    """Check the suffix and the folder of the report's path. Raises ImportRefused."""
    if Path(path).suffix.lower() not in (".csv", ".json"):
        raise ImportRefused(f"{shown(path)} ends neither in .csv nor in .json. Nothing was changed; give the report such a name.")
    if not Path(path).absolute().parent.is_dir() or Path(path).is_dir():
        raise ImportRefused(f"{shown(path)} cannot be written: its folder is not there. Nothing was changed; make it first.")


def write_report(path: str, plan: ImportPlan, done: StartedDeployments | None) -> None:
    """Write the report, readable by its owner alone: it holds addresses. Replaces an existing file. Raises ImportRefused."""
    if Path(path).suffix.lower() == ".json":
        text = json.dumps(as_dict(plan, done), indent=2, ensure_ascii=False) + "\n"
    else:
        text = "".join(map(csv_line, [COLUMNS, *rows(plan)]))
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        what = "Nothing was changed" if done is None else "The import itself is done"
        raise ImportRefused(
            f"{shown(path)} cannot be written: {error.strerror}. {what}; run it again with another name."
        ) from error


def _profile_lines(planned: PlannedProfile) -> Iterator[str]:
    profile = planned.profile
    refused = sum(entry.is_refused for entry in planned.entries()[1:])
    but = f", but for {refused} refused in it" if refused and not profile.entry.is_refused else ""
    yield f"{profile.stack} ({profile.path}): {profile.entry.fate}{but}"
    yield from _notes(profile.entry, 2)
    for affiliate in planned.affiliates:
        yield from _affiliate_lines(affiliate)


def _affiliate_lines(affiliate: PlannedAffiliate) -> Iterator[str]:
    yield _line(affiliate.entry, 2)
    yield from _notes(affiliate.entry, 4)
    for entry in affiliate.entries():
        yield _line(entry, 4)
        yield from _notes(entry, 6)
    if affiliate.copies:
        yield "    Its data lies at its old place. To copy it (nothing is deleted, and it may be run again):"
        yield from (f"      {command}" for command in affiliate.copies)


def _line(entry: Entry, indent: int) -> str:
    becomes = f" -> {entry.becomes}" if entry.becomes and entry.becomes != entry.name else ""
    return f"{' ' * indent}{entry.kind} {entry.name}{becomes}: {entry.fate}"


def _notes(entry: Entry, indent: int) -> Iterator[str]:
    yield from (f"{' ' * indent}- {note}" for note in entry.notes)


def _totals(plan: ImportPlan) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for planned in plan.profiles:
        for entry in planned.entries():
            counts.setdefault(entry.kind, Counter())[entry.fate.value] += 1
    return {kind: dict(fates) for kind, fates in counts.items()}


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[fate]} {fate}" for fate in Fate if fate in counts)


def _entry(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "fate": entry.fate.value, "becomes": entry.becomes, "notes": entry.notes}


def _row(path: str, affiliate: str, entry: Entry) -> tuple[str, ...]:
    return path, affiliate, entry.kind, entry.name, entry.fate.value, entry.becomes, " ".join(entry.notes)
