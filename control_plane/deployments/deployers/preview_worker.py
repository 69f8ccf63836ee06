"""Comparison of a previewed manifest with what is deployed: CDK's diff, by the processes that the worker keeps."""

from control_plane.deployments.deployers import toolchain
from control_plane.deployments.deployers.port import DeployerFailure
from control_plane.deployments.deployers.synthesis import SynthesisFailed
from control_plane.deployments.models import Preview
from control_plane.deployments.plans import Plan

NO_ENGINE = "This worker deploys by the plain `cdk deploy` (COHORT_DEPLOYER=cli), which cannot say beforehand what will change."


def work_out(preview_id: int) -> None:
    """Compute with CDK what the preview's manifest would change, and record it."""
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
    tools = toolchain.current()
    if tools is None or tools.resident is None or tools.synthesiser is None:
        raise DeployerFailure(NO_ENGINE, "")
    with tools.synthesiser.assembly({preview.stack_name: preview.manifest}) as assembly:
        if problem := assembly.problems.get(preview.stack_name):
            raise SynthesisFailed(problem)
        return tools.resident.diff(assembly.folder, preview.stack_name)


def _fail(preview: Preview, error: str) -> None:
    preview.error, preview.state = error, Preview.State.FAILED
    preview.save(update_fields=["error", "state"])
