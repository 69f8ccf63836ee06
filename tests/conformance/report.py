"""What came of each step on each target: `docs/conformance.json`, and from it the page `docs/conformance.md`."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
Outcome = Literal["passed", "failed", "not supported by this AWS", "not reached"]
TARGETS = {"embedded": "embedded AWS, IAM’s delay on", "localstack": "LocalStack’s community core", "account": "a real account"}
INTRODUCTION = """# Conformance

`make conformance` runs Cohort's main path through its own commands and pages, and looks at AWS as a customer would, on any AWS:
`make conformance` on the embedded one, `make conformance AWS=localstack` on LocalStack's community core, and
`make conformance AWS=account AWS_PROFILE=...` in a real account, which it leaves as it found it. Each run writes its own column.

*Not supported by this AWS* is said only of what the target is known to lack:
"""


@dataclass(frozen=True)
class Row:
    """What came of one step: `note` says what was measured, or why it failed."""

    id: str
    subject: str
    title: str
    outcome: Outcome
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Run:
    """All of one target, when, with which code and under which conditions."""

    target: str
    date: str
    commit: str
    conditions: str
    rows: list[Row] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether a step did not do what it should."""
        return any(row.outcome in ("failed", "not reached") for row in self.rows)


def new_run(target: str, conditions: str, rows: list[Row]) -> Run:
    """A run of today, with the code of this checkout."""
    return Run(target, datetime.now(UTC).date().isoformat(), commit(), conditions, rows)


def commit() -> str:
    """The commit of this checkout; with a plus sign if something was changed since, docs aside."""
    head = _git("rev-parse", "--short=10", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs") else "")


def write(run: Run, lacks: dict[str, dict[str, str]], docs: Path = DOCS) -> None:
    """Put this run's column in the place of the target's last one; those of other targets stay."""
    docs.mkdir(parents=True, exist_ok=True)
    path = docs / "conformance.json"
    runs = {item.target: item for item in read(path)} | {run.target: run}
    kept = [runs[target] for target in TARGETS if target in runs]
    path.write_text(json.dumps([asdict(item) for item in kept], indent=1, ensure_ascii=False) + "\n")
    (docs / "conformance.md").write_text(page(kept, lacks))


def read(path: Path) -> list[Run]:
    """The runs that were written there; none if there is no such file."""
    if not path.exists():
        return []
    return [_as_run(row) for row in json.loads(path.read_text())]


def page(runs: Sequence[Run], lacks: dict[str, dict[str, str]]) -> str:
    """The page with a column for each target."""
    lines = [INTRODUCTION]
    lines += [f"- {TARGETS[target]}: **{what}**: {reason}" for target in lacks for what, reason in lacks[target].items()]
    lines += [
        "",
        "| target | date | commit | conditions | passed | failed | not supported |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    known = {run.target: run for run in runs}
    lines += [_summary(target, known.get(target)) for target in TARGETS]
    for subject in dict.fromkeys(row.subject for run in runs for row in run.rows):
        lines += ["", f"## {subject}", "", f"| step | {' | '.join(TARGETS.values())} |", "| --- |" + " --- |" * len(TARGETS)]
        titles = {row.id: row.title for run in reversed(runs) for row in run.rows if row.subject == subject}
        order = dict.fromkeys(row.id for run in runs for row in run.rows if row.subject == subject)
        for step in order:
            cells = [
                _cell(next((row for row in known[target].rows if row.id == step), None)) if target in known else "not run"
                for target in TARGETS
            ]
            lines.append(f"| {_clean(titles[step])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_text(run: Run) -> str:
    """The run for a terminal."""
    counts = {
        outcome: sum(row.outcome == outcome for row in run.rows) for outcome in dict.fromkeys(row.outcome for row in run.rows)
    }
    return f"{TARGETS[run.target]}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}."


def _summary(target: str, run: Run | None) -> str:
    if run is None:
        return f"| {TARGETS[target]} | not run | | | | | |"
    counts = [
        sum(row.outcome in outcomes for row in run.rows)
        for outcomes in (["passed"], ["failed", "not reached"], ["not supported by this AWS"])
    ]
    return f"| {TARGETS[target]} | {run.date} | {run.commit} | {run.conditions} | {' | '.join(map(str, counts))} |"


def _cell(row: Row | None) -> str:
    if row is None:
        return "no such step then"
    said = row.outcome if row.outcome in ("passed", "not supported by this AWS") else f"**{row.outcome}**"
    took = f" {row.seconds:.1f} s" if row.outcome in ("passed", "failed") else ""
    return f"{said}{took}{f'<br>{_clean(row.note)}' if row.note else ''}"


def _clean(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _as_run(document: dict[str, Any]) -> Run:
    return Run(**document | {"rows": [Row(**row) for row in document["rows"]]})


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()
