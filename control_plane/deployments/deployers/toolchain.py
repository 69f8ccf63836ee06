"""The processes of CDK that a worker keeps loaded: for its engine, and for the tasks that it does beside deploying."""

from dataclasses import dataclass

from control_plane.deployments.deployers.resident import ResidentDeployer
from control_plane.deployments.deployers.synthesis import Synthesiser


@dataclass(frozen=True)
class Toolchain:
    """What synthesises and what compares and deploys; None where the worker deploys by the plain `cdk deploy`."""

    resident: ResidentDeployer | None
    synthesiser: Synthesiser | None


_kept: Toolchain | None = None


def current() -> Toolchain | None:
    """Return this process's toolchain; None where it is no worker."""
    return _kept


def keep(toolchain: Toolchain | None) -> None:
    """Make it this process's toolchain."""
    global _kept
    _kept = toolchain
