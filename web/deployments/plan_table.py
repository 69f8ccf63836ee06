"""Table of a plan for a page: people by their addresses, changes that widen access marked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from control_plane.deployments.plan_words import MAX_SHOWN_CHANGES, SIGNS, PlanRow, people_rows
from control_plane.deployments.plans import Plan, ResourceChange, StatementChange
from control_plane.deployments.progress import action_word, resource_name

_STATEMENT_WORDS = {
    ("add", "Allow"): "becomes allowed",
    ("remove", "Allow"): "is no longer allowed",
    ("add", "Deny"): "becomes forbidden",
    ("remove", "Deny"): "is no longer forbidden",
    ("add", "Boundary"): "becomes the boundary",
    ("remove", "Boundary"): "replaces another boundary, or goes itself",
    ("add", "Unknown"): "comes, and what it allows is not known",
    ("remove", "Unknown"): "goes, and what it denied is not known",
}


@dataclass(frozen=True)
class PlanSection:
    """Rows of one kind; `more` counts those that are not shown."""

    title: str
    rows: list[PlanRow]
    more: int


@dataclass(frozen=True)
class ShownPlan:
    """Plan as a template needs it."""

    verdict: str
    widens: bool
    counts: str
    sections: list[PlanSection]


def shown_plan(document: dict[str, Any], names: Mapping[str, str] | None = None) -> ShownPlan:
    """Return the stored plan for a page, in one query. `names` gives addresses of members that the database does not hold."""
    plan = Plan.from_json(document)
    sections = [
        _section("People and data", people_rows(plan.people, names)),
        _section("Permissions", [_statement_row(statement) for statement in plan.statements]),
        _section("Resources", [_resource_row(resource) for resource in plan.resources]),
    ]
    return ShownPlan(_verdict(plan), plan.broadens, _counts(plan), [section for section in sections if section.rows])


def _section(title: str, rows: list[PlanRow]) -> PlanSection:
    # Changes that widen access come first: an approver must not miss them among many.
    rows = sorted(rows, key=lambda row: not row.widens)
    return PlanSection(title, rows[:MAX_SHOWN_CHANGES], max(0, len(rows) - MAX_SHOWN_CHANGES))


def _statement_row(statement: StatementChange) -> PlanRow:
    where = " ".join(
        part
        for part in (
            f"on {statement.resource}" if statement.resource else "",
            f"for {statement.principal}" if statement.principal else "",
        )
        if part
    )
    return PlanRow(
        sign=SIGNS[statement.change],
        name=statement.actions or statement.resource,
        what=_STATEMENT_WORDS.get(
            (statement.change, statement.effect), "is attached" if statement.change == "add" else "is detached"
        ),
        technical=f"{where}, only if {statement.condition}" if statement.condition else where,
        widens=statement.widens,
    )


def _resource_row(resource: ResourceChange) -> PlanRow:
    properties = f": {', '.join(resource.properties)}" if resource.properties else ""
    return PlanRow(
        SIGNS[resource.action], resource_name(resource.type), f"{action_word(resource.action)}{properties}", resource.logical_id
    )


def _verdict(plan: Plan) -> str:
    if plan.broadens:
        ends_data = any(effect.kind == "versions" and effect.widens for effect in plan.people)
        without = replace(plan, people=[effect for effect in plan.people if effect.kind != "versions"])
        words = ["Lets somebody do more on AWS than now."] if without.broadens else []
        return " ".join([*words, *(["Ends data for good that AWS keeps now."] if ends_data else [])])
    if plan.permissions == "non-broadening" or plan.statements or plan.people:
        return "Permissions change, and nobody can do more than now."
    return "No permission changes." if plan.resources else "AWS holds this already: nothing changes."


def _counts(plan: Plan) -> str:
    numbers = {
        action: sum(resource.action == action for resource in plan.resources) for action in ("add", "change", "replace", "remove")
    }
    words = [f"{number} {action_word(action)}" for action, number in numbers.items() if number]
    return f"Resources: {', '.join(words)}." if words else ""
