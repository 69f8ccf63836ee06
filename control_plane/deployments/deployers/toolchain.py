"""CDK processes that a worker keeps loaded, for its engine and for its tasks."""

from dataclasses import dataclass

from control_plane.deployments.deployers.resident import ResidentDeployer
from control_plane.deployments.deployers.synthesis import Synthesiser


@dataclass(frozen=True)
class Toolchain:
    """Synthesiser and resident deployer; None where the worker deploys by the plain `cdk deploy`."""

    resident: ResidentDeployer | None
    synthesiser: Synthesiser | None


_kept: Toolchain | None = None


def current() -> Toolchain | None:
    """Return this process's toolchain; None if it is no worker."""
    return _kept


def keep(toolchain: Toolchain | None) -> None:
    """Set this process's toolchain."""
    global _kept
    _kept = toolchain
