"""What a benchmark found: printed as a table, and written to `docs/benchmarks.md` and `docs/benchmarks.json`."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Row:
    """One measure: the figure, what it is compared with, and whether it reaches what it must. No target, no verdict."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""


def faster(name: str, seconds: float, peer: float, peer_name: str, times: float, note: str = "") -> Row:
    """A time that has to be so many times shorter than the peer's."""
    ratio = peer / seconds
    return Row(
        name,
        round(seconds, 3),
        "s",
        round(peer, 3),
        peer_name,
        round(ratio, 1),
        f"at least {times:g} times faster",
        ratio >= times,
        note,
    )


def above(name: str, seconds: float, peer: float, peer_name: str, most: float, note: str = "") -> Row:
    """A time that may lie so many seconds above the peer's."""
    excess = seconds - peer
    target = f"at most {most:g} s above it"
    return Row(name, round(seconds, 3), "s", round(peer, 3), peer_name, round(seconds / peer, 2), target, excess <= most, note)


def at_least(
    name: str, times: Sequence[float], peers: Sequence[float], peer_name: str, ratio: float, unit: str, note: str = ""
) -> Row:
    """Times in turns with a peer's, of which the medians count: the speed has to be so much of the peer's, or more."""
    value, peer = statistics.median(times), statistics.median(peers)
    target = f"at least {ratio:g} of its speed"
    return Row(name, round(value, 2), unit, round(peer, 2), peer_name, round(peer / value, 2), target, peer / value >= ratio, note)


def at_most(name: str, value: float, unit: str, most: float, note: str = "") -> Row:
    """A figure that may not pass a limit."""
    return Row(name, round(value, 1), unit, target=f"at most {most:g} {unit}".strip(), met=value <= most, note=note)


def at_most_times(name: str, value: float, unit: str, peer: float, peer_name: str, times: float, note: str = "") -> Row:
    """A figure that may be so many times a peer's."""
    ratio = value / peer
    target = f"at most {times:g} times that"
    return Row(name, round(value, 2), unit, round(peer, 2), peer_name, round(ratio, 3), target, ratio <= times, note)


def beside(name: str, seconds: float, peer: float, peer_name: str, note: str = "") -> Row:
    """A time beside a peer's, without a target."""
    return Row(name, round(seconds, 2), "s", round(peer, 2), peer_name, round(peer / seconds, 2), note=note)


def show(rows: Sequence[Row], title: str) -> None:
    """Print the table."""
    print(f"\n{title}\n")
    for row in rows:
        peer = f"  |  {row.peer_name}: {row.peer:g} {row.unit}  |  ratio {row.ratio:g}" if row.peer is not None else ""
        verdict = "" if row.met is None else f"  |  {'met' if row.met else 'NOT MET'}: {row.target}"
        print(f"{row.name}: {row.value:g} {row.unit}{peer}{verdict}")


def write(rows: Sequence[Row], area: str, how: str) -> None:
    """Replace this area's figures in the two files; those of other areas stay."""
    path = DOCS / "benchmarks.json"
    kept = json.loads(path.read_text()) if path.exists() else {"areas": {}}
    kept["areas"][area] = {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "how": how,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    (DOCS / "benchmarks.md").write_text(_markdown(kept["areas"]))


def machine() -> str:
    """What this was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    )


def _markdown(areas: dict[str, dict[str, object]]) -> str:
    parts = ["# Benchmarks\n\n`make bench` measures all of this anew, in one run, and writes this page.\n"]
    for area, found in areas.items():
        parts.append(f"\n## {area}\n{found['how']}\n\nMeasured on {found['measured']}: {found['machine']}.\n\n")
        parts.append("| measure | figure | peer | ratio | must reach | met |\n| --- | --- | --- | --- | --- | --- |\n")
        parts += [_line(row) for row in found["rows"]]  # type: ignore[attr-defined]
    return "".join(parts)


def _line(row: dict[str, object]) -> str:
    peer = f"{row['peer_name']}: {row['peer']} {row['unit']}" if row["peer"] is not None else ""
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]  # type: ignore[index]
    note = f"<br>{row['note']}" if row["note"] else ""
    ratio = "" if row["ratio"] is None else row["ratio"]
    return f"| {row['name']}{note} | {row['value']} {row['unit']} | {peer} | {ratio} | {row['target']} | {met} |\n"
