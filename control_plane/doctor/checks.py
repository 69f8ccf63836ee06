"""All checks, with the steps of docs/operations.md that need them before they begin."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.doctor import bootstrap, cdk, identity, limits, mail, reach, rights, stacks
from control_plane.doctor.check_context import CheckContext, describe_failure
from control_plane.doctor.findings import CannotLook, Finding, NeedsStep, not_yet, unknown

STEPS = {
    1: "Settings",
    2: "Bootstrap",
    3: "Deploy",
    4: "DNS",
    5: "First administrator",
    6: "Upgrade",
    7: "Restore",
    8: "Tear-down",
}
EVERY = frozenset(STEPS)


@dataclass(frozen=True)
class Check:
    """A check. One with `is_of_host` runs on the host alone, and does not count elsewhere."""

    name: str
    title: str
    run_checks: Callable[[CheckContext], Iterable[Finding]]
    steps: frozenset[int]
    is_of_host: bool = False


@dataclass(frozen=True)
class CheckFinding:
    """A finding with its check."""

    check: Check
    finding: Finding


def _steps(*steps: int) -> frozenset[int]:
    return frozenset(steps)


def _on_host(module: str, name: str) -> Callable[[CheckContext], Iterable[Finding]]:
    """Return a check whose module is imported when it runs: it imports Django's models, which need the host's settings."""

    def run_on_host(context: CheckContext) -> Iterable[Finding]:
        context.require_settings()
        findings: Iterable[Finding] = getattr(import_module(module), name)(context)
        return findings

    return run_on_host


CHECKS = (
    Check("credentials", "Credentials", identity.credentials, EVERY),
    Check("clock", "Clock", identity.clock, EVERY),
    Check("site", "Settings of the site", identity.site_settings, EVERY - {1}),
    Check("region", "Region", identity.region, EVERY),
    Check("administrator", "Administrator's rights", bootstrap.administrator, _steps(2, 8)),
    Check("quotas", "Quotas", limits.quotas, _steps(2, 3, 6)),
    Check("bootstrap", "Cohort-Bootstrap", bootstrap.bootstrap_stack, _steps(3, 5, 6, 7)),
    Check("policies", "Its policies", bootstrap.policy_contents, _steps(3, 5, 6, 7)),
    Check("cdk", "CDK's bootstrap", cdk.toolkit, _steps(3, 5, 6, 7)),
    Check("execution-role", "CloudFormation's role", cdk.execution_role, _steps(3, 5, 6, 7)),
    Check("execution-rights", "What CloudFormation may do", rights.execution, _steps(3, 5, 6, 7)),
    Check("other-bootstraps", "Other CDK bootstraps", cdk.other_bootstraps, _steps(3, 6)),
    Check("zones", "Zones", limits.zones, _steps(3, 6, 7)),
    Check("addresses", "Address and network", limits.addresses, _steps(3)),
    Check("own-certificate", "Certificate of site.toml", reach.own_certificate, _steps(3)),
    Check("snapshot", "Snapshot of site.toml", limits.snapshot, _steps(3, 7)),
    Check("backup-stack", "Cohort-Backup", stacks.backup_stack, _steps(4, 5, 6, 7)),
    Check("mail", "Mail server in the secret", mail.secret, _steps(5, 6)),
    Check("host-stack", "Cohort-Host", stacks.host_stack, _steps(5, 6)),
    Check("worker-rights", "What the worker may do", rights.worker, _steps(5, 6)),
    Check("web-rights", "What the web process may do", rights.web, _steps(5, 6)),
    Check("dns", "DNS", reach.dns, _steps(5, 6)),
    Check("certificate", "Certificate", reach.certificate, _steps(5, 6)),
    Check("ready", "The site", reach.readiness, _steps(5, 6)),
    Check("group-stacks", "Stacks of groups", stacks.groups, _steps(6)),
    Check("cors", "CORS of the analysis buckets", reach.cors, _steps(6)),
    Check("disk", "Disk", _on_host("control_plane.doctor.host", "disk"), _steps(6, 7), is_of_host=True),
    Check("worker", "Database and worker", _on_host("control_plane.doctor.host", "readiness"), _steps(6), is_of_host=True),
    Check("names", "Names", _on_host("control_plane.doctor.names", "list_refused_names"), _steps(6), is_of_host=True),
    Check("mail-server", "Mail server", mail.server, _steps(6), is_of_host=True),
    Check("backup", "Backup of the database", _on_host("control_plane.doctor.host", "backup"), _steps(6, 7, 8), is_of_host=True),
)


def run_checks(context: CheckContext, step: int | None = None, checks: Iterable[Check] = CHECKS) -> Iterator[CheckFinding]:
    """Run the checks that this step needs, or all of them."""
    for check in checks:
        if step is None or step in check.steps:
            yield from (CheckFinding(check, finding) for finding in _run_check(check, context))


def _run_check(check: Check, context: CheckContext) -> list[Finding]:
    findings: list[Finding] = []
    try:
        # One by one, so that findings before an error are reported too.
        findings.extend(check.run_checks(context))
    except NeedsStep as needs:
        findings.append(not_yet(needs.step, needs.seen, needs.advice))
    except CannotLook as error:
        findings.append(unknown(str(error), error.advice))
    except (BotoCoreError, ClientError) as error:
        findings.append(
            unknown(describe_failure(error), "Run it with the account's administrator's rights, where they are missing.")
        )
    except OSError as error:
        findings.append(unknown(f"the network or this machine did not answer: {error}", "Try again."))
    return findings
