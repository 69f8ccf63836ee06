"""Stacks that AWS holds in a newer generation than the database, as after a restored backup: kept until somebody decides.

Generations only ever grow, and a row has the next one before AWS does. So a stack that holds a generation which this database
never asked for was changed after the backup was made. Deploying to it would undo that in silence.
"""

from collections.abc import Iterator

from django.db.models import F

from control_plane.base.aws import NOTHING_CHANGED
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.models import DriftState, Failure, Stack, StoredManifest, Worker
from control_plane.deployments.published import published_manifest
from stacks.manifest import GroupManifest, Manifest


def mark_restored(using: str) -> None:
    """Mark every stack of a restored database for comparison with AWS, before anything is deployed to it."""
    Stack.objects.using(using).update(
        known_generation=F("generation"), newer_generation=0, drift_state=DriftState.UNKNOWN, drift_checked_at=None, drift=[]
    )
    # They were alive when the backup was made.
    Worker.objects.using(using).delete()


def record_newer_generation(stack: Stack, observation: Observation) -> bool:
    """Record and return whether AWS holds a generation that this database never asked for. Raises StoreUnavailable."""
    row = Stack.objects.get(pk=stack.pk)
    newer = observation.generation if _is_newer(row, observation.generation) else 0
    in_step = not newer and observation.generation == row.deployed_generation
    known = None if in_step else row.known_generation
    if (newer, known) != (row.newer_generation, row.known_generation):
        Stack.objects.filter(pk=stack.pk).update(newer_generation=newer, known_generation=known)
    stack.newer_generation, stack.known_generation = newer, known
    return bool(newer)


def newer_generation_problem(stack: Stack) -> DeploymentProblem:
    """Describe why a run does not begin: somebody has to decide about the newer generation on AWS."""
    return DeploymentProblem(
        f"AWS has generation {stack.newer_generation} of {stack.title}, which this database does not know: it was changed after "
        "the backup that was restored here.",
        f"{NOTHING_CHANGED} Open the stack’s page for what differs; then take over what AWS holds of a group, on the access "
        "review, or deploy what the database says.",
        Failure.PERMANENT,
    )


def accept(stack: Stack, held: Manifest, status: str) -> None:
    """Record what AWS holds as the deployed state of a locked stack; the caller makes its own rows say the same.

    What this database asked for since comes after it: its newest generation then holds what AWS does, until the next one.
    """
    newest = max(stack.generation, held.generation)
    for generation in sorted({held.generation, newest}):
        text = held.model_copy(update={"generation": generation}).to_json()
        StoredManifest.objects.update_or_create(stack=stack, generation=generation, defaults={"text": text})
    changes: dict[str, object] = {"generation": newest, "deployed_generation": held.generation, "status": status}
    changes |= {"known_generation": None, "newer_generation": 0}
    # This database has never seen that template, so drift is checked anew.
    changes |= {"template_digest": "", "drift_state": DriftState.UNKNOWN, "drift": []}
    for name, value in changes.items():
        setattr(stack, name, value)
    stack.save(update_fields=list(changes))


def federated_differences(stack: Stack) -> Iterator[tuple[str, bool]]:
    """Yield members without keys that differ, as (username, whether AWS has them and the database has not).

    Nothing if AWS's manifest is no longer the one that is published.
    """
    theirs = published_manifest(stack)
    ours = StoredManifest.objects.at(stack, stack.deployed_generation)
    if not (isinstance(theirs, GroupManifest) and theirs.generation == stack.newer_generation):
        return
    names = {member.username for member in theirs.members if member.access == "federated"}
    own = {member.username for member in ours.members if member.access == "federated"} if isinstance(ours, GroupManifest) else set()
    yield from ((name, True) for name in sorted(names - own))
    yield from ((name, False) for name in sorted(own - names))


def _is_newer(stack: Stack, held: int) -> bool:
    if stack.known_generation is not None:
        return held > stack.known_generation
    return held > stack.generation or (held > stack.deployed_generation and _is_foreign(stack, held))


def _is_foreign(stack: Stack, held: int) -> bool:
    """Return whether the manifest published under this generation differs from the database's own, as after a disk snapshot."""
    published = published_manifest(stack)
    return published is not None and published.generation == held and published != StoredManifest.objects.at(stack, held)
