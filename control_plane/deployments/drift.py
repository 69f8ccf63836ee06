"""Whether AWS still holds what was deployed: CloudFormation's drift detection, a stack that is gone, one that others changed."""

import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.deployments import cloudformation, newer, principals
from control_plane.deployments.cloudformation import AwsFailure, Observation
from control_plane.deployments.models import Deployment, DriftState, Stack, StoredManifest
from control_plane.deployments.tasks import check_drift
from stacks.manifest import GroupManifest, ManifestError, StoreUnavailable, names, parse

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeStackResourceDriftsInputTypeDef, StackResourceDriftTypeDef

logger = logging.getLogger("cohort.drift")

STACK, SECRET = "AWS::CloudFormation::Stack", "AWS::SecretsManager::Secret"
HIDDEN = "(not shown)"
DETECTION_SECONDS = 300.0
LOOK_SECONDS = 0.5
LONGEST_VALUE = 2000


@dataclass(frozen=True)
class Difference:
    """One thing on AWS that is not as deployed. `properties` holds path, expected and actual of each that differs."""

    what: Literal["stack", "template", "resource"]
    logical_id: str
    type: str
    status: Literal["missing", "changed", "deleted", "added"]
    properties: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the database and for commands."""
        return asdict(self)


def request_check(stack: Stack, *, actor: Actor) -> None:
    """Have a worker look soon whether AWS still holds what was deployed. Raises PermissionDenied."""
    require_administrator(actor)
    Stack.objects.filter(pk=stack.pk).update(drift_state=DriftState.CHECKING, drift_checked_at=timezone.now())
    record(actor, "stack.check", stack.name)
    check_drift.enqueue(stack.pk)


def check(stack_id: int) -> None:
    """Look whether AWS still holds what was deployed, and record what differs. For a worker: it takes seconds to minutes."""
    stack = Stack.objects.get(pk=stack_id)
    if Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).exists():
        # What a run is changing now differs by design; the next night looks again.
        _save(stack, DriftState.UNKNOWN, [])
        return
    try:
        state, differences = _look(stack)
    except (AwsFailure, ManifestError, StoreUnavailable) as error:
        logger.warning("%s: drift could not be checked: %s", stack, error)
        failed = Difference("stack", stack.name, STACK, "changed", [{"path": "", "expected": "an answer", "actual": str(error)}])
        _save(stack, DriftState.FAILED, [failed])
        return
    _save(stack, state, differences)
    logger.info("%s: %s", stack, state.label)


def _look(stack: Stack) -> tuple[DriftState, list[Difference]]:
    observation = cloudformation.observe(stack.name, stack.region)
    if stack.is_retired and stack.is_up_to_date:
        return _look_retired(stack, observation)
    if observation.status in ("", "DELETE_COMPLETE"):
        missing = stack.deployed_generation > 0
        found = [Difference("stack", stack.name, STACK, "missing")] if missing else []
        return (DriftState.MISSING if missing else DriftState.UNKNOWN), found
    newer.note(stack, observation)
    differences = [
        *_stack_differences(stack, observation),
        *_resource_differences(stack),
        *_differences_in_nested(stack),
        *_strangers(stack),
        *_federated(stack),
    ]
    return (DriftState.DRIFTED if differences else DriftState.IN_SYNC), differences


def _look_retired(stack: Stack, observation: Observation) -> tuple[DriftState, list[Difference]]:
    """Nothing of a retired stack is to be there: neither the stack, if somebody made it again, nor users under its path."""
    is_there = observation.status not in ("", "DELETE_COMPLETE")
    differences = [Difference("stack", stack.name, STACK, "added")] if is_there else []
    differences += _strangers(stack)
    return (DriftState.DRIFTED if differences else DriftState.IN_SYNC), differences


def _stack_differences(stack: Stack, observation: Observation) -> list[Difference]:
    """Whether somebody else changed the stack itself: another generation, or another template."""
    told = []
    if observation.generation != stack.deployed_generation:
        told.append({"path": "generation", "expected": str(stack.deployed_generation), "actual": str(observation.generation)})
    if stack.template_digest and (digest := _template_digest(stack)) != stack.template_digest:
        told.append({"path": "template", "expected": stack.template_digest[:12], "actual": digest[:12]})
    return [Difference("template", stack.name, STACK, "changed", told)] if told else []


def _template_digest(stack: Stack) -> str:
    """As `stacks.synthesiser.template_digest` makes it from the file."""
    with cloudformation.explained():
        body = cloudformation.client(stack.region).get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    document = json.loads(body) if isinstance(body, str) else body
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _differences_in_nested(stack: Stack) -> list[Difference]:
    """CloudFormation looks into no nested stack of what it checks, so each is asked about by itself."""
    manifest = _deployed_manifest(stack)
    if manifest is None or not any(member.part for member in manifest.members):
        return []
    nested = cloudformation.nested_stacks(stack.name, stack.region)
    return [difference for stack_id in nested.values() for difference in _resource_differences(stack, stack_id)]


def _deployed_manifest(stack: Stack) -> GroupManifest | None:
    text = StoredManifest.objects.filter(stack=stack, generation=stack.deployed_generation).values_list("text", flat=True).first()
    manifest = parse(text) if text else None
    return manifest if isinstance(manifest, GroupManifest) else None


def _resource_differences(stack: Stack, stack_id: str = "") -> list[Difference]:
    """What CloudFormation finds changed in the stack, or in one nested in it."""
    client, name = cloudformation.client(stack.region), stack_id or stack.name
    with cloudformation.explained():
        detection = client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
        deadline = time.monotonic() + DETECTION_SECONDS
        while (answer := client.describe_stack_drift_detection_status(StackDriftDetectionId=detection))[
            "DetectionStatus"
        ] == "DETECTION_IN_PROGRESS":
            if time.monotonic() > deadline:
                raise AwsFailure(f"Drift detection of {stack.name} took longer than {DETECTION_SECONDS:.0f} s.")
            time.sleep(LOOK_SECONDS)
        if answer["DetectionStatus"] == "DETECTION_FAILED":
            raise AwsFailure(
                f"Drift detection of {stack.name} failed: {answer.get('DetectionStatusReason', 'AWS gives no reason')}."
            )
        found = []
        request: DescribeStackResourceDriftsInputTypeDef = {
            "StackName": name,
            "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"],
        }
        while True:
            page = client.describe_stack_resource_drifts(**request)
            found += page["StackResourceDrifts"]
            if not (token := page.get("NextToken")):
                return [_difference(drift) for drift in found]
            request["NextToken"] = token


def _strangers(stack: Stack) -> list[Difference]:
    """IAM users under the group's path that its stack does not hold: made by others, or not removed when they should have been."""
    manifest = _deployed_manifest(stack)
    if manifest is None:
        return []
    ours = {names.user(manifest.slug, member.username) for member in manifest.members if member.access == "keys"}
    there = principals.users_under(names.iam_path(manifest.slug))
    found = [Difference("resource", name, "AWS::IAM::User", "added") for name in sorted(there - ours)]
    if stack.needs_decision:
        # A stack that others changed since holds what it should, by CloudFormation's word: only the names tell who went.
        found += [Difference("resource", name, "AWS::IAM::User", "deleted") for name in sorted(ours - there)]
    return found


def _federated(stack: Stack) -> list[Difference]:
    """Who else came or went on AWS after the backup that this database was restored from."""
    if not stack.needs_decision:
        return []
    differences = newer.federated_differences(stack)
    return [Difference("resource", name, "Federated member", "added" if there else "deleted") for name, there in differences]


def _difference(drift: "StackResourceDriftTypeDef") -> Difference:
    hidden = drift["ResourceType"] == SECRET
    properties = [
        {
            "path": one["PropertyPath"],
            # A secret's value is shown nowhere, whatever AWS tells.
            "expected": HIDDEN if hidden else _short(one["ExpectedValue"]),
            "actual": HIDDEN if hidden else _short(one["ActualValue"]),
        }
        for one in drift.get("PropertyDifferences", [])
    ]
    status: Literal["deleted", "changed"] = "deleted" if drift["StackResourceDriftStatus"] == "DELETED" else "changed"
    return Difference("resource", drift["LogicalResourceId"], drift["ResourceType"], status, properties)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…"


def _save(stack: Stack, state: DriftState, differences: list[Difference]) -> None:
    Stack.objects.filter(pk=stack.pk).update(
        drift_state=state, drift=[one.to_json() for one in differences], drift_checked_at=timezone.now()
    )
