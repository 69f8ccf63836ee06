"""What a change would do on AWS, before anybody asks for it: the services run and are rolled back, a worker diffs the manifest."""

from collections.abc import Callable

from django.db import transaction

from control_plane.audit.actors import Actor
from control_plane.deployments.deployer import DeployerFailure
from control_plane.deployments.models import Deployment, Preview, StoredManifest
from control_plane.deployments.plans import Plan
from control_plane.deployments.synthesis import SynthesisFailed
from control_plane.deployments.tasks import work_out_preview

NO_ENGINE = "This worker deploys by the plain `cdk deploy` (COHORT_DEPLOYER=cli), which cannot say beforehand what will change."
# Where the session keeps who the members of its last preview are: their names for AWS are made up anew by each rehearsal.
SESSION_KEY = "preview_people"


class _RolledBack(Exception):
    """Ends the transaction of a rehearsal."""


def request_preview(perform: Callable[[], Deployment], *, actor: Actor) -> Preview:
    """Rehearse `perform`, which must change nothing but the database, and have a worker say what it would do on AWS.

    Raises what `perform` raises: a request that would be refused is refused here too.
    """
    fields: dict[str, str] = {}
    try:
        with transaction.atomic():
            fields = _fields(perform())
            raise _RolledBack
    except _RolledBack:
        preview = Preview.objects.create(asked_by=actor.user, **fields)
    work_out_preview.enqueue(preview.pk)
    return preview


def _fields(deployment: Deployment) -> dict[str, str]:
    stack = deployment.stack
    texts = dict(
        StoredManifest.objects.filter(stack=stack, generation__in=(stack.deployed_generation, deployment.generation)).values_list(
            "generation", "text"
        )
    )
    title = deployment.changes.order_by("-pk").values_list("summary", flat=True).first() or str(deployment)
    return {
        "stack_name": stack.name,
        "title": title,
        "manifest": texts[deployment.generation],
        "base": texts.get(stack.deployed_generation, ""),
    }


def work_out(preview_id: int) -> None:
    """Have CDK say what the preview's manifest would change, and record it. For a worker."""
    preview = Preview.objects.get(pk=preview_id)
    try:
        plan = _plan(preview)
    except SynthesisFailed as error:
        _fail(preview, error.problem.error)
    except DeployerFailure as error:
        _fail(preview, str(error))
    else:
        plan = plan.for_manifests(preview.base, preview.manifest)
        preview.plan, preview.state = plan.to_json(), Preview.State.DONE
        preview.save(update_fields=["plan", "state"])


def _plan(preview: Preview) -> Plan:
    # Only a worker has the machinery, and loads its modules.
    from control_plane.deployments.engine import running

    engine = running()
    if engine is None or engine.resident is None or engine.synthesiser is None:
        raise DeployerFailure(NO_ENGINE, "")
    with engine.synthesiser.assembly({preview.stack_name: preview.manifest}) as assembly:
        if problem := assembly.problems.get(preview.stack_name):
            raise SynthesisFailed(problem)
        return engine.resident.diff(assembly.folder, preview.stack_name)


def _fail(preview: Preview, error: str) -> None:
    preview.error, preview.state = error, Preview.State.FAILED
    preview.save(update_fields=["error", "state"])
