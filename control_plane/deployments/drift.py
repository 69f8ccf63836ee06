"""Drift checks: AWS compared with what was deployed, by the stack itself, CloudFormation's drift detection and IAM.

A check goes in steps, each a task of some seconds, so that a stack that AWS takes long over, or a group of thousands, holds no
other check up: a step that is not done hands what it has found to the next.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils import timezone

from control_plane.base import aws
from control_plane.base.aws import AwsFailure
from control_plane.deployments import aws_ahead, cloudformation, drift_detection, iam_users, leftovers
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.differences import MAX_RECORDED_DIFFERENCES, Difference, unread
from control_plane.deployments.models import Deployment, DriftState, Stack, StoredManifest
from stacks import names
from stacks.manifest import ManifestError
from stacks.store import StoreUnavailable

logger = logging.getLogger("cohort.drift")

STACK = cloudformation.STACK_TYPE
# How long one step works before other tasks have their turn, and how long AWS's drift detection of one stack may take.
STEP_SECONDS = 20.0
DETECTION_SECONDS = 600.0


@dataclass
class CheckProgress:
    """State of a drift check between two steps, handed on as JSON."""

    # What was deployed when the check began: another deployment invalidates it.
    deployed: str
    detections: dict[str, str] = field(default_factory=dict)
    waited: float = 0.0
    found: list[dict[str, Any]] = field(default_factory=list)
    # The last IAM user that was checked.
    after: str = ""

    def add(self, differences: list[Difference]) -> None:
        """Keep these differences too, MAX_RECORDED_DIFFERENCES in all."""
        self.found = [*self.found, *(difference.to_json() for difference in differences)][:MAX_RECORDED_DIFFERENCES]

    @property
    def differences(self) -> list[Difference]:
        """The differences found so far."""
        return [Difference(**document) for document in self.found]


def check(stack_id: int, progress: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Compare what AWS holds with what was deployed, and record what differs.

    Returns the state for the next step if one step did not suffice, else None.
    """
    stack = Stack.objects.get(pk=stack_id)
    if Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).exists():
        # What a run is changing now differs by design; the next night looks again.
        _save(stack, DriftState.UNKNOWN, [])
        return None
    try:
        result = _look(stack, CheckProgress(**progress) if progress else None)
    except (AwsFailure, ManifestError, StoreUnavailable) as error:
        logger.warning("%s: drift could not be checked: %s", stack, error)
        _save(stack, DriftState.FAILED, [unread(stack.name, STACK, str(error), "stack")])
        return None
    if isinstance(result, CheckProgress):
        # The new date keeps a check that goes on from being taken for a stuck one.
        Stack.objects.filter(pk=stack.pk).update(drift_state=DriftState.CHECKING, drift_checked_at=timezone.now())
        return asdict(result)
    _save(stack, *result)
    logger.info("%s: %s", stack, result[0].label)
    return None


def delete_recorded_additions(stack: Stack) -> Iterator[str]:
    """Delete what the last check found added to the group's principals, as far as our rights go. Yields lines for a log.

    CloudFormation puts everything else back, and does not know of these additions. Raises AwsFailure.
    """
    if stack.drift and (deployed := _deployed(stack, _template(stack))):
        yield from iam_users.delete_additions(deployed, stack.drift)


def _look(stack: Stack, progress: CheckProgress | None) -> tuple[DriftState, list[Difference]] | CheckProgress:
    deadline = time.monotonic() + STEP_SECONDS
    observation = cloudformation.observe(stack.name, stack.place)
    if stack.is_retired and stack.is_up_to_date:
        return _look_retired(stack, observation)
    if observation.status in ("", "DELETE_COMPLETE"):
        missing = stack.deployed_generation > 0
        differences = [Difference("stack", stack.name, STACK, "missing"), *_left(stack)] if missing else []
        return (DriftState.MISSING if missing else DriftState.UNKNOWN), differences
    template = _template(stack)
    if progress is None or progress.deployed != _when_deployed(stack):
        progress = _begin(stack, observation, template)
    if progress.detections and not _read_detections(stack, progress, template, deadline):
        return progress
    if not _read_users(stack, progress, template, deadline):
        return progress
    return _judged(progress.differences)


def _judged(differences: list[Difference]) -> tuple[DriftState, list[Difference]]:
    """Return the state that these differences amount to: in sync only if all could be read."""
    if any(difference.status != "unread" for difference in differences):
        return DriftState.DRIFTED, differences
    return (DriftState.FAILED if differences else DriftState.IN_SYNC), differences


def _look_retired(stack: Stack, observation: Observation) -> tuple[DriftState, list[Difference]]:
    """Check that nothing of a retired stack is there: neither the stack, if somebody made it again, nor users under its path."""
    is_there = observation.status not in ("", "DELETE_COMPLETE")
    differences = [Difference("stack", stack.name, STACK, "added")] if is_there else []
    return _judged([*differences, *_left(stack), *_strangers(stack)])


def _begin(stack: Stack, observation: Observation, template: dict[str, Any]) -> CheckProgress:
    aws_ahead.record_newer_generation(stack, observation)
    progress = CheckProgress(_when_deployed(stack))
    progress.add([*_stack_differences(stack, observation, template), *_left(stack), *_strangers(stack), *_federated(stack)])
    progress.detections = drift_detection.begin(stack, [stack.name, *_nested(stack)])
    return progress


def _read_detections(stack: Stack, progress: CheckProgress, template: dict[str, Any], deadline: float) -> bool:
    """Add what CloudFormation's drift detection found. False if it is still at work and this step's time is over."""
    began = time.monotonic()
    failed, at_work = drift_detection.wait(stack, progress.detections, min(deadline - began, DETECTION_SECONDS - progress.waited))
    progress.waited += time.monotonic() - began
    if at_work and progress.waited < DETECTION_SECONDS:
        return False
    differences: list[Difference] = []
    for name in progress.detections:
        if name in at_work:
            differences.append(unread(name, STACK, f"Drift detection took longer than {DETECTION_SECONDS:.0f} s.", "stack"))
        else:
            differences += drift_detection.read_differences(stack, name, failed.get(name, ""))
    progress.detections = {}
    progress.add(differences)
    if deployed := _deployed(stack, template):
        progress.add(iam_users.additions(deployed, differences))
    return True


def _read_users(stack: Stack, progress: CheckProgress, template: dict[str, Any], deadline: float) -> bool:
    """Add what was given to the group's users outside Cohort, user by user. False if this step's time ends before the last."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None or not any(member.access == "keys" for member in manifest.members):
        return True
    deployed = _deployed(stack, template)
    if deployed is None:
        return True
    for user in sorted(deployed.users & iam_users.users_under(names.iam_path(manifest.slug), stack.place)):
        if user <= progress.after:
            continue
        progress.add(iam_users.additions_to_user(deployed, user))
        progress.after = user
        if time.monotonic() > deadline:
            return False
    return True


def _stack_differences(stack: Stack, observation: Observation, template: dict[str, Any]) -> list[Difference]:
    """Return how the stack itself was changed by somebody else: another generation, or another template."""
    properties = []
    if observation.generation != stack.deployed_generation:
        properties.append({"path": "generation", "expected": str(stack.deployed_generation), "actual": str(observation.generation)})
    if stack.template_digest and (digest := _digest(template)) != stack.template_digest:
        properties.append({"path": "template", "expected": stack.template_digest[:12], "actual": digest[:12]})
    return [Difference("template", stack.name, STACK, "changed", properties)] if properties else []


def _template(stack: Stack) -> dict[str, Any]:
    with aws.translated_errors():
        body = cloudformation.client(stack.place).get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    return dict(json.loads(body) if isinstance(body, str) else body)


def _digest(template: dict[str, Any]) -> str:
    """Return the template's SHA-256, as `stacks.group.synthesiser.template_digest` makes it from the file."""
    return hashlib.sha256(json.dumps(template, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _nested(stack: Stack) -> list[str]:
    """Return the ids of the nested stacks: drift detection of a stack does not look into them, so each is checked by itself."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None or not any(member.part for member in manifest.members):
        return []
    return list(cloudformation.nested_stacks(stack.name, stack.place).values())


def _deployed(stack: Stack, template: dict[str, Any]) -> iam_users.DeployedAccess | None:
    """Return what the group's principals are to have; None for a platform stack, which has no principals."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None:
        return None
    resources = cloudformation.resources(stack.name, stack.place)
    made = {resource.physical_id for resource in resources if resource.type == iam_users.KEY}
    # Read anew: a key may have been adopted, or removed, since the check or the run began.
    adopted = Stack.objects.values_list("adopted_key_ids", flat=True).get(pk=stack.pk)
    keys = frozenset(made.union(adopted))
    return iam_users.DeployedAccess(manifest, keys, template, is_behind=not stack.is_up_to_date)


def _when_deployed(stack: Stack) -> str:
    return f"{stack.deployed_generation} {stack.last_started_at.isoformat() if stack.last_started_at else ''}"


def _left(stack: Stack) -> list[Difference]:
    """Return what CloudFormation could not remove and AWS still holds; what is gone since is dropped from the row."""
    if not stack.leftovers:
        return []
    left = leftovers.still_there(stack, leftovers.remembered_leftovers(stack))
    idle = Stack.objects.filter(pk=stack.pk, lease_owner="", leftovers=stack.leftovers)
    idle.update(leftovers=[leftover.to_json() for leftover in left])
    note = "CloudFormation could not remove it. Delete it on AWS, then deploy again."
    return [
        Difference("resource", leftover.physical_id, leftover.type, "left", note=f"{note} The reason was: {leftover.reason}")
        for leftover in left
    ]


def _strangers(stack: Stack) -> list[Difference]:
    """Return IAM users under the group's path that its stack does not hold: made by others, or left when they should have gone."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None:
        return []
    ours = {names.user(manifest.slug, username) for username in manifest.key_holders}
    existing = iam_users.users_under(names.iam_path(manifest.slug), stack.place)
    differences = [Difference("resource", name, iam_users.USER, "added") for name in sorted(existing - ours)]
    if stack.needs_decision:
        # CloudFormation reports no drift of a stack that others updated since: only the names show which users are gone.
        differences += [Difference("resource", name, iam_users.USER, "deleted") for name in sorted(ours - existing)]
    return differences


def _federated(stack: Stack) -> list[Difference]:
    """Return members without keys who came or went on AWS after the backup that this database was restored from."""
    if not stack.needs_decision:
        return []
    differences = aws_ahead.federated_differences(stack)
    return [Difference("resource", name, "Federated member", "added" if there else "deleted") for name, there in differences]


def _save(stack: Stack, state: DriftState, differences: list[Difference]) -> None:
    Stack.objects.filter(pk=stack.pk).update(
        drift_state=state, drift=[difference.to_json() for difference in differences], drift_checked_at=timezone.now()
    )
