"""A worker says what a change would do: CDK's diff, with the people whose access changes."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from control_plane.deployments.deployers import preview_worker, toolchain
from control_plane.deployments.deployers.port import DeployerFailure
from control_plane.deployments.deployers.synthesis import Assembly
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.models import Failure, Preview
from control_plane.deployments.plans import Plan, ResourceChange
from tests.factories import PreviewFactory
from tests.stacks.builders import ADA, group_manifest

pytestmark = pytest.mark.django_db
DIFF = Plan(permissions="broadening", resources=[ResourceChange("Role1", "AWS::IAM::Role", "change")])


class FakeMachinery:
    """The engine of a worker, as far as a preview uses it."""

    def __init__(self):
        self.problems, self.error, self.asked = {}, None, []
        self.synthesiser = SimpleNamespace(assembly=self.assembly)
        self.resident = SimpleNamespace(diff=self.diff)

    @contextmanager
    def assembly(self, manifests):
        self.asked.append(manifests)
        yield Assembly(Path("/assembly"), {}, self.problems)

    def diff(self, assembly, stack_name):
        if self.error:
            raise self.error
        return DIFF


@pytest.fixture
def worker():
    machinery: Any = FakeMachinery()
    toolchain.keep(machinery)
    yield machinery
    toolchain.keep(None)


def worked_out():
    before, after = group_manifest(members=()), group_manifest(generation=2)
    preview = PreviewFactory.create(stack_name=after.stack_name, title="A change", base=before.to_json(), manifest=after.to_json())
    preview_worker.work_out(preview.pk)
    preview.refresh_from_db()
    return preview


def test_it_works(worker):
    preview = worked_out()
    plan = Plan.from_json(preview.plan)
    assert preview.state == Preview.State.DONE
    assert plan.resources == DIFF.resources
    assert (plan.people[0].name, plan.people[0].change) == (ADA, "joins")
    assert worker.asked == [{"Group-example-lab": preview.manifest}]


def test_a_manifest_that_cannot_be_synthesised_is_said(worker):
    worker.problems = {"Group-example-lab": DeploymentProblem("Too many analyses.", "", Failure.PERMANENT)}
    assert (worked_out().state, worked_out().error) == (Preview.State.FAILED, "Too many analyses.")


def test_an_aws_that_does_not_answer_is_said(worker):
    worker.error = DeployerFailure("AWS does not answer.", "", Failure.RETRYABLE)
    assert (worked_out().state, worked_out().error) == (Preview.State.FAILED, "AWS does not answer.")


def test_a_worker_that_deploys_by_the_command_line_says_that_it_cannot_tell(worker):
    worker.resident = None
    assert worked_out().error == preview_worker.NO_ENGINE
