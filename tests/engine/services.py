"""`python -m tests.engine.services`: calls the control plane's services, one JSON request a line, in one process that stays."""

import json
import sys
from typing import Any
from unittest.mock import patch

import django

django.setup()

from django.db import close_old_connections, connection, transaction  # noqa: E402
from django.db.models import F, Q  # noqa: E402

from control_plane.access.groups.models import Access, Analysis, Grant, Membership  # noqa: E402
from control_plane.access.groups.services import bucket_names  # noqa: E402
from control_plane.access.groups.services import platform_stack as platform_stack_module  # noqa: E402
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis, revoke_analysis  # noqa: E402
from control_plane.access.groups.services.groups import create_group, find_group, request_group_deployment  # noqa: E402
from control_plane.access.groups.services.members import add_by_email, find_user, remove_member  # noqa: E402
from control_plane.access.groups.services.platform_stack import platform_stack, sync_platform  # noqa: E402
from control_plane.access.retirement.analysis_serializers import analysis_retirement_as_dict  # noqa: E402
from control_plane.access.retirement.models import BucketChoice  # noqa: E402
from control_plane.access.review import scan, unmanaged_decisions  # noqa: E402
from control_plane.access.review.models import UnmanagedResource  # noqa: E402
from control_plane.base.audit.actors import Actor  # noqa: E402
from control_plane.base.errors import Refused  # noqa: E402
from control_plane.deployments import approvals, cancelling, requests  # noqa: E402
from control_plane.deployments.engine import leases  # noqa: E402
from control_plane.deployments.models import Deployment, Stack, StoredManifest  # noqa: E402
from control_plane.research.analyses.retiring import request_retirement  # noqa: E402
from control_plane.research.catalogue import unmade  # noqa: E402

ACTOR = Actor(label="terminal:tester", channel="terminal")
OTHER = Actor(label="terminal:other", channel="terminal")


def sync() -> int | None:
    """Have the platform deployed."""
    deployments = sync_platform(actor=ACTOR)
    return deployments[0].pk if deployments else None


def platform_is_there() -> None:
    """Another control plane has deployed the platform: take it for ours."""
    sync_platform(actor=ACTOR)
    stack = platform_stack()
    Deployment.objects.filter(stack=stack).update(state=Deployment.State.SUCCEEDED)
    Stack.objects.filter(pk=stack.pk).update(deployed_generation=stack.generation)


def end_leases() -> int:
    """Let the leases of workers that are dead run out now."""
    return Stack.objects.exclude(lease_owner="").update(lease_expires_at=leases.in_seconds(-1))


def group(slug: str) -> int:
    """Make a group."""
    return create_group(slug=slug, actor=ACTOR)[1].pk


def add(slug: str, email: str, access: str = "federated") -> int:
    """Add a person, who need not exist yet."""
    return add_by_email(group=find_group(slug), email=email, access=Access(access), actor=ACTOR)[1].pk


def remove(slug: str, email: str) -> int:
    """Remove a person."""
    return remove_member(group=find_group(slug), user=find_user(email), actor=ACTOR).pk


def rotate(slug: str, email: str) -> int:
    """Give a person a new key."""
    with transaction.atomic():
        found = find_group(slug)
        found.memberships.filter(user__email=email).update(key_serial=F("key_serial") + 1)
        return request_group_deployment(found, f"Another key for {email}", ACTOR).pk


def analysis(slug: str, bucket: str) -> int:
    """Make an analysis, as if the bucket's name were free until now: many a control plane here shares one AWS."""
    with patch.object(bucket_names, "bucket_owner", return_value=bucket_names.BucketOwner.NOBODY):
        return create_analysis(slug=slug, bucket=bucket, actor=ACTOR)[1].pk


def rename_bucket(slug: str, bucket: str) -> int:
    """Give an analysis that AWS could not make another bucket."""
    return unmade.rename_bucket(analysis=Analysis.objects.get(slug=slug), bucket=bucket, actor=ACTOR).pk


def analyses() -> dict[str, str]:
    """Why AWS could not make each analysis's bucket, by slug."""
    return dict(Analysis.objects.values_list("slug", "unmade_reason"))


def further_analysis(slug: str, bucket: str) -> int:
    """Make an analysis where every storage stack is full."""
    with patch.object(platform_stack_module, "MAX_BUCKETS", 0):
        return analysis(slug, bucket)


def retire_analysis(slug: str) -> None:
    """Retire it at once, and have its bucket deleted."""
    found = Analysis.objects.get(slug=slug)
    request_retirement(analysis=found, confirmation=found.bucket, bucket=BucketChoice.DELETE, at_once=True, actor=ACTOR)


def retirement_of(slug: str) -> dict[str, Any]:
    """How far that is."""
    return analysis_retirement_as_dict(Analysis.objects.get(slug=slug).retirements.get())


def grant(analysis: str, slug: str, level: str = "read-write") -> int:
    """Grant it."""
    found = Analysis.objects.get(slug=analysis)
    return grant_analysis(analysis=found, group=find_group(slug), level=Grant.Level(level), actor=ACTOR).pk


def revoke(analysis: str, slug: str) -> int:
    """Revoke it."""
    return revoke_analysis(analysis=Analysis.objects.get(slug=analysis), group=find_group(slug), actor=ACTOR).pk


def cancel(deployment: int) -> str:
    """Cancel a deployment."""
    return cancelling.cancel(Deployment.objects.get(pk=deployment), actor=ACTOR).state


def retry(deployment: int) -> int:
    """Deploy its stack again."""
    return requests.deploy_again(Deployment.objects.get(pk=deployment), actor=ACTOR).pk


def approve(deployment: int) -> str:
    """Approve it, as somebody else."""
    return approvals.approve(Deployment.objects.get(pk=deployment), actor=OTHER).state


def approve_own(deployment: int) -> str:
    """Approve it, as whoever asked for it."""
    return approvals.approve(Deployment.objects.get(pk=deployment), actor=ACTOR).state


def check_stack(name: str) -> None:
    """Have a stack's drift checked."""
    requests.request_check(Stack.objects.get(name=name), actor=ACTOR)


def repair_stack(name: str) -> int:
    """Have a stack put back."""
    return requests.request_repair(Stack.objects.get(name=name), actor=ACTOR).pk


def check(slug: str) -> None:
    """Have the group's drift checked."""
    requests.request_check(find_group(slug).stack, actor=ACTOR)


def repair(slug: str) -> int:
    """Have the group's stack put back."""
    return requests.request_repair(find_group(slug).stack, actor=ACTOR).pk


def look_outside() -> None:
    """Ask AWS for what the database does not know."""
    scan.scan_outside_groups()


def unmanaged() -> list[dict[str, Any]]:
    """What AWS holds and the database does not know."""
    fields = ("kind", "name", "state", "reach", "users", "problem", "error")
    return list(UnmanagedResource.objects.order_by("kind", "name").values(*fields))


def take_over(name: str, people: dict[str, str]) -> int | None:
    """Take a group over with these people, by username."""
    deployment = unmanaged_decisions.take_over(
        unmanaged_decisions.find_unmanaged(name), confirmation=name, people=people, actor=ACTOR
    )
    return deployment.pk if deployment else None


def remove_unmanaged(name: str, kind: str) -> None:
    """Have something removed that the database does not know."""
    unmanaged_decisions.remove(unmanaged_decisions.find_unmanaged(name, kind), confirmation=name, actor=ACTOR)


@transaction.atomic
def dump() -> dict[str, Any]:
    """What the database says, at one moment."""
    if connection.vendor == "postgresql":
        connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    manifests = {(manifest.stack_id, manifest.generation): manifest.text for manifest in StoredManifest.objects.all()}
    stacks = [
        {
            "name": stack.name,
            "generation": stack.generation,
            "deployed_generation": stack.deployed_generation,
            "status": stack.status,
            "drift_state": stack.drift_state,
            "drift": stack.drift,
            "manifest": manifests.get((stack.pk, stack.generation), ""),
        }
        for stack in Stack.objects.all()
    ]
    deployments = [
        {
            "id": deployment.pk,
            "stack": deployment.stack.name,
            "state": deployment.state,
            "generation": deployment.generation,
            "attempts": deployment.attempts,
            "worker": deployment.worker,
            "error": deployment.error,
            "advice": deployment.advice,
            "failure": deployment.failure,
            "status": deployment.cloudformation_status,
            "started": deployment.started_at and deployment.started_at.timestamp(),
            "finished": deployment.finished_at and deployment.finished_at.timestamp(),
            "log": [line.text for line in deployment.log.all()],
            "changes": [change.summary for change in deployment.changes.all()],
            "superseded_by": deployment.superseded_by_id,
        }
        for deployment in Deployment.objects.select_related("stack").prefetch_related("log", "changes").order_by("pk")
    ]
    members = Membership.objects.filter(removed_generation__isnull=True).select_related("group", "user")
    waiting = Q(state__in=Deployment.OPEN)
    return {
        "stacks": stacks,
        "deployments": deployments,
        "members": [
            {"group": member.group.slug, "email": member.user.email, "username": member.username, "access": member.access}
            for member in members
        ],
        "open": Deployment.objects.filter(waiting).count(),
        "out_of_step": list(Stack.objects.out_of_step().values_list("name", flat=True)),
    }


CALLS = {
    item.__name__: item
    for item in (
        sync,
        platform_is_there,
        end_leases,
        group,
        add,
        remove,
        rotate,
        analysis,
        further_analysis,
        retire_analysis,
        retirement_of,
        analyses,
        rename_bucket,
        grant,
        revoke,
        cancel,
        retry,
        approve,
        approve_own,
        check,
        check_stack,
        repair,
        repair_stack,
        look_outside,
        unmanaged,
        take_over,
        remove_unmanaged,
        dump,
    )
}


def main() -> None:
    """Answer each request in turn."""
    for line in sys.stdin:
        request = json.loads(line)
        close_old_connections()
        try:
            answer: dict[str, Any] = {"answer": CALLS[request.pop("do")](**request)}
        except Refused as refusal:
            answer = {"answer": {"refused": str(refusal)}}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
