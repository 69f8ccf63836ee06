"""Whether AWS still holds what was deployed: the stack itself, what CloudFormation finds changed in it, and what only IAM can tell.

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
from control_plane.deployments.differences import MAX_RECORDED, Difference, unread
from control_plane.deployments.models import Deployment, DriftState, Stack, StoredManifest
from stacks.manifest import ManifestError, StoreUnavailable, names

logger = logging.getLogger("cohort.drift")

STACK = cloudformation.STACK_TYPE
# How long one step works before others have their turn, and how long AWS may take to look at one stack.
STEP_SECONDS = 20.0
DETECTION_SECONDS = 600.0


@dataclass
class Progress:
    """How far a check has come: what the next step is given, as JSON."""

    # What was deployed when it began: after another deployment nothing of it holds.
    deployed: str
    detections: dict[str, str] = field(default_factory=dict)
    waited: float = 0.0
    found: list[dict[str, Any]] = field(default_factory=list)
    # The last user that was looked at.
    after: str = ""

    def add(self, differences: list[Difference]) -> None:
        """Keep these too, as far as there is room."""
        self.found = [*self.found, *(one.to_json() for one in differences)][:MAX_RECORDED]

    @property
    def differences(self) -> list[Difference]:
        """What was found so far."""
        return [Difference(**one) for one in self.found]


def check(stack_id: int, progress: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Compare what AWS holds with what was deployed, and record what differs.

    Returns what the next step is to be given, where one step did not suffice, else None.
    """
    stack = Stack.objects.get(pk=stack_id)
    if Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).exists():
        # What a run is changing now differs by design; the next night looks again.
        _save(stack, DriftState.UNKNOWN, [])
        return None
    try:
        looked = _look(stack, Progress(**progress) if progress else None)
    except (AwsFailure, ManifestError, StoreUnavailable) as error:
        logger.warning("%s: drift could not be checked: %s", stack, error)
        _save(stack, DriftState.FAILED, [unread(stack.name, STACK, str(error), "stack")])
        return None
    if isinstance(looked, Progress):
        # A check that goes on is not one that is stuck.
        Stack.objects.filter(pk=stack.pk).update(drift_state=DriftState.CHECKING, drift_checked_at=timezone.now())
        return asdict(looked)
    _save(stack, *looked)
    logger.info("%s: %s", stack, looked[0].label)
    return None


def put_back(stack: Stack) -> Iterator[str]:
    """Delete what the last check found added to the group's principals, as far as our rights go. Yields lines for a log.

    CloudFormation puts the rest back, and knows of nothing here. Raises AwsFailure.
    """
    if stack.drift and (deployed := _deployed(stack, _template(stack))):
        yield from iam_users.take_back(deployed, stack.drift)


def _look(stack: Stack, progress: Progress | None) -> tuple[DriftState, list[Difference]] | Progress:
    deadline = time.monotonic() + STEP_SECONDS
    observation = cloudformation.observe(stack.name, stack.place)
    if stack.is_retired and stack.is_up_to_date:
        return _look_retired(stack, observation)
    if observation.status in ("", "DELETE_COMPLETE"):
        missing = stack.deployed_generation > 0
        found = [Difference("stack", stack.name, STACK, "missing"), *_left(stack)] if missing else []
        return (DriftState.MISSING if missing else DriftState.UNKNOWN), found
    template = _template(stack)
    if progress is None or progress.deployed != _when_deployed(stack):
        progress = _begin(stack, observation, template)
    if progress.detections and not _read_detections(stack, progress, template, deadline):
        return progress
    if not _read_users(stack, progress, template, deadline):
        return progress
    return _judged(progress.differences)


def _judged(differences: list[Difference]) -> tuple[DriftState, list[Difference]]:
    """As deployed only where all could be read."""
    if any(one.status != "unread" for one in differences):
        return DriftState.DRIFTED, differences
    return (DriftState.FAILED if differences else DriftState.IN_SYNC), differences


def _look_retired(stack: Stack, observation: Observation) -> tuple[DriftState, list[Difference]]:
    """Nothing of a retired stack is to be there: neither the stack, if somebody made it again, nor users under its path."""
    is_there = observation.status not in ("", "DELETE_COMPLETE")
    differences = [Difference("stack", stack.name, STACK, "added")] if is_there else []
    return _judged([*differences, *_left(stack), *_strangers(stack)])


def _begin(stack: Stack, observation: Observation, template: dict[str, Any]) -> Progress:
    aws_ahead.note(stack, observation)
    progress = Progress(_when_deployed(stack))
    progress.add([*_stack_differences(stack, observation, template), *_left(stack), *_strangers(stack), *_federated(stack)])
    progress.detections = drift_detection.begin(stack, [stack.name, *_nested(stack)])
    return progress


def _read_detections(stack: Stack, progress: Progress, template: dict[str, Any], deadline: float) -> bool:
    """What CloudFormation found. False if it is at work still, and this step's time is over."""
    began = time.monotonic()
    failed, at_work = drift_detection.wait(stack, progress.detections, min(deadline - began, DETECTION_SECONDS - progress.waited))
    progress.waited += time.monotonic() - began
    if at_work and progress.waited < DETECTION_SECONDS:
        return False
    told: list[Difference] = []
    for name in progress.detections:
        if name in at_work:
            told.append(unread(name, STACK, f"Drift detection took longer than {DETECTION_SECONDS:.0f} s.", "stack"))
        else:
            told += drift_detection.read(stack, name, failed.get(name, ""))
    progress.detections = {}
    progress.add(told)
    if deployed := _deployed(stack, template):
        progress.add(iam_users.additions(deployed, told))
    return True


def _read_users(stack: Stack, progress: Progress, template: dict[str, Any], deadline: float) -> bool:
    """What somebody gave to the group's users, one after another. False if this step's time is over before the last one."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None or not any(one.access == "keys" for one in manifest.members):
        return True
    deployed = _deployed(stack, template)
    if deployed is None:
        return True
    for user in sorted(deployed.users & iam_users.users_under(names.iam_path(manifest.slug), stack.place)):
        if user <= progress.after:
            continue
        progress.add(iam_users.additions_to(deployed, user))
        progress.after = user
        if time.monotonic() > deadline:
            return False
    return True


def _stack_differences(stack: Stack, observation: Observation, template: dict[str, Any]) -> list[Difference]:
    """Whether somebody else changed the stack itself: another generation, or another template."""
    told = []
    if observation.generation != stack.deployed_generation:
        told.append({"path": "generation", "expected": str(stack.deployed_generation), "actual": str(observation.generation)})
    if stack.template_digest and (digest := _digest(template)) != stack.template_digest:
        told.append({"path": "template", "expected": stack.template_digest[:12], "actual": digest[:12]})
    return [Difference("template", stack.name, STACK, "changed", told)] if told else []


def _template(stack: Stack) -> dict[str, Any]:
    with aws.explained():
        body = cloudformation.client(stack.place).get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    return dict(json.loads(body) if isinstance(body, str) else body)


def _digest(template: dict[str, Any]) -> str:
    """As `stacks.synthesiser.template_digest` makes it from the file."""
    return hashlib.sha256(json.dumps(template, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _nested(stack: Stack) -> list[str]:
    """The stacks nested in it: CloudFormation looks into none of what it checks, so each is asked about by itself."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None or not any(member.part for member in manifest.members):
        return []
    return list(cloudformation.nested_stacks(stack.name, stack.place).values())


def _deployed(stack: Stack, template: dict[str, Any]) -> iam_users.Deployed | None:
    """What the group's principals are to have; None of the platform, which has none."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None:
        return None
    resources = cloudformation.resources(stack.name, stack.place)
    made = {one.physical_id for one in resources if one.type == iam_users.KEY}
    # Read anew: one may have become known, or gone, since the check or the run began.
    adopted = Stack.objects.values_list("adopted_key_ids", flat=True).get(pk=stack.pk)
    keys = frozenset(made.union(adopted))
    return iam_users.Deployed(manifest, keys, template, is_behind=not stack.is_up_to_date)


def _when_deployed(stack: Stack) -> str:
    return f"{stack.deployed_generation} {stack.last_started_at.isoformat() if stack.last_started_at else ''}"


def _left(stack: Stack) -> list[Difference]:
    """What CloudFormation could not remove and AWS still holds; what is gone since is forgotten."""
    if not stack.leftovers:
        return []
    left = leftovers.still_there(stack, leftovers.known(stack))
    idle = Stack.objects.filter(pk=stack.pk, lease_owner="", leftovers=stack.leftovers)
    idle.update(leftovers=[one.to_json() for one in left])
    note = "CloudFormation could not remove it. Delete it on AWS, then deploy again."
    return [Difference("resource", one.physical_id, one.type, "left", note=f"{note} The reason was: {one.reason}") for one in left]


def _strangers(stack: Stack) -> list[Difference]:
    """IAM users under the group's path that its stack does not hold: made by others, or not removed when they should have been."""
    manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    if manifest is None:
        return []
    ours = {names.user(manifest.slug, username) for username in manifest.key_holders}
    there = iam_users.users_under(names.iam_path(manifest.slug), stack.place)
    found = [Difference("resource", name, iam_users.USER, "added") for name in sorted(there - ours)]
    if stack.needs_decision:
        # A stack that others changed since holds what it should, by CloudFormation's word: only the names tell who went.
        found += [Difference("resource", name, iam_users.USER, "deleted") for name in sorted(ours - there)]
    return found


def _federated(stack: Stack) -> list[Difference]:
    """Who else came or went on AWS after the backup that this database was restored from."""
    if not stack.needs_decision:
        return []
    differences = aws_ahead.federated_differences(stack)
    return [Difference("resource", name, "Federated member", "added" if there else "deleted") for name, there in differences]


def _save(stack: Stack, state: DriftState, differences: list[Difference]) -> None:
    Stack.objects.filter(pk=stack.pk).update(
        drift_state=state, drift=[one.to_json() for one in differences], drift_checked_at=timezone.now()
    )
