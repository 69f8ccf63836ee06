"""Applying an import plan: each group in one transaction and one deployment, so that a failure affects no other group."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from control_plane.access.groups.models import Access, Analysis, Grant
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.members import add_members, find_or_create_user
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment
from control_plane.neurocaas_import.entries import Entry, Fate
from control_plane.neurocaas_import.planning import ImportPlan, PlannedProfile, settle_profile
from control_plane.neurocaas_import.targets import Target

EXPECTED = (Refused, PermissionDenied, ValidationError, DatabaseError)
ReportLine = Callable[[str], None]


@dataclass
class StartedDeployments:
    """Deployments that the import started: ids by group or analysis."""

    deployments: dict[str, int] = field(default_factory=dict)


def apply_plan(plan: ImportPlan, *, access: Access, actor: Actor, report: ReportLine) -> StartedDeployments:
    """Create the groups and analyses, and give access. Failures are refused in the plan's entries. Raises PermissionDenied."""
    require_administrator(actor)
    done = StartedDeployments()
    targets = [target for target in plan.targets if target.users or target.uses]
    _make_analyses(plan, targets, done, actor, report)
    for number, target in enumerate(targets, start=1):
        report(f"[{number}/{len(targets)}] {target.slug} (people: {len(target.users)}, analyses: {len(target.uses)})")
        try:
            if deployment := _apply(target, access, actor):
                done.deployments[f"group {target.slug}"] = deployment.pk
        except EXPECTED as error:
            _refuse_target(plan, target, _describe_error(error))
            report(f"      refused: {_describe_error(error)}")
    for profile in plan.profiles:
        settle_profile(profile)
        _record_import(profile, done, actor)
    return done


def _make_analyses(plan: ImportPlan, targets: list[Target], done: StartedDeployments, actor: Actor, report: ReportLine) -> None:
    needed = {slug for target in targets for slug in target.uses}
    for bucket, slug in plan.pipelines.to_make.items():
        if slug not in needed:
            continue
        report(f"The analysis {slug}, with the bucket {bucket}")
        try:
            _, deployment = create_analysis(slug=slug, bucket=bucket, name=bucket, actor=actor)
            done.deployments[f"analysis {slug}"] = deployment.pk
        except EXPECTED as error:
            report(f"      refused: {_describe_error(error)}")
            for target in targets:
                if use := target.uses.pop(slug, None):
                    for entry in (use.entry, *use.others):
                        entry.refuse(f"The analysis could not be made: {_describe_error(error)}")


def _apply(target: Target, access: Access, actor: Actor) -> Deployment | None:
    """Apply all of a group in one transaction. Returns its last deployment, if there is one."""
    deployment: Deployment | None = None
    with transaction.atomic():
        group = target.group
        if group is None:
            group, deployment = create_group(slug=target.slug, name=target.name, actor=actor)
        if target.users:
            users = [find_or_create_user(email, actor=actor) for email in target.users]
            deployment = add_members(group=group, users=users, access=access, actor=actor)
        for slug in target.uses:
            analysis = Analysis.objects.get(slug=slug)
            deployment = grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_WRITE, actor=actor)
    return deployment


def _refuse_target(plan: ImportPlan, target: Target, why: str) -> None:
    """Refuse every entry that was to be applied in this group."""
    entries = [entry for user_entries in target.users.values() for entry in user_entries]
    entries += [entry for use in target.uses.values() for entry in (use.entry, *use.others)]
    for planned in plan.profiles:
        for affiliate in planned.affiliates:
            if affiliate.target is target and target.is_new:
                entries.append(affiliate.entry)
                affiliate.copies = []
    for entry in entries:
        entry.refuse(f"The group {target.slug} was left as it was: {why} Then run this again.")


def _record_import(planned: PlannedProfile, done: StartedDeployments, actor: Actor) -> None:
    """Record a profile of which something was imported; the single actions have audit events of their own."""
    below = planned.entries()[1:]
    taken = [entry for entry in below if entry.fate in (Fate.TAKEN, Fate.MENDED)]
    if not taken:
        return
    groups = list(
        dict.fromkeys(
            affiliate.target.slug for affiliate in planned.affiliates if affiliate.target and not affiliate.entry.is_refused
        )
    )
    record(
        actor,
        "legacy.import",
        f"profile {planned.profile.stack}",
        path=planned.profile.path,
        groups=groups,
        people=_names_of("person", taken),
        analyses=_names_of("analysis", taken),
        refused=sum(entry.is_refused for entry in below),
        deployments=[done.deployments[f"group {slug}"] for slug in groups if f"group {slug}" in done.deployments],
    )


def _names_of(kind: str, entries: list[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.becomes for entry in entries if entry.kind == kind))


def _describe_error(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, DatabaseError):
        return "The database refused it; something else was changed at the same time, perhaps."
    return str(error)
