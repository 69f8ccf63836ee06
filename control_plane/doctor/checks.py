"""Every check, and which steps of docs/operations.md need it before they begin."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.doctor import bootstrap, cdk, identity, limits, mail, reach, rights, stacks
from control_plane.doctor.findings import CannotLook, Finding, NeedsStep, not_yet, unknown
from control_plane.doctor.surroundings import Surroundings, why_not

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
    """One thing to look at. One of the host is looked at there alone, and counts for nothing elsewhere."""

    name: str
    title: str
    look: Callable[[Surroundings], Iterable[Finding]]
    steps: frozenset[int]
    is_of_host: bool = False


@dataclass(frozen=True)
class Line:
    """What one check found."""

    check: Check
    finding: Finding


def _of(*steps: int) -> frozenset[int]:
    return frozenset(steps)


def _on_host(module: str, name: str) -> Callable[[Surroundings], Iterable[Finding]]:
    """Make a check of one whose module imports Django's models: it is loaded to look, since they are there on the host alone."""

    def look_there(around: Surroundings) -> Iterable[Finding]:
        around.require_settings()
        found: Iterable[Finding] = getattr(import_module(module), name)(around)
        return found

    return look_there


CHECKS = (
    Check("credentials", "Credentials", identity.credentials, EVERY),
    Check("clock", "Clock", identity.clock, EVERY),
    Check("site", "Settings of the site", identity.site_settings, EVERY - {1}),
    Check("region", "Region", identity.region, EVERY),
    Check("administrator", "Administrator's rights", bootstrap.administrator, _of(2, 8)),
    Check("quotas", "Quotas", limits.quotas, _of(2, 3, 6)),
    Check("bootstrap", "Cohort-Bootstrap", bootstrap.bootstrap_stack, _of(3, 5, 6, 7)),
    Check("policies", "Its policies", bootstrap.policy_contents, _of(3, 5, 6, 7)),
    Check("cdk", "CDK's bootstrap", cdk.toolkit, _of(3, 5, 6, 7)),
    Check("execution-role", "CloudFormation's role", cdk.execution_role, _of(3, 5, 6, 7)),
    Check("execution-rights", "What CloudFormation may do", rights.execution, _of(3, 5, 6, 7)),
    Check("other-bootstraps", "Other CDK bootstraps", cdk.others, _of(3, 6)),
    Check("zones", "Zones", limits.zones, _of(3, 6, 7)),
    Check("addresses", "Address and network", limits.addresses, _of(3)),
    Check("own-certificate", "Certificate of site.toml", reach.own_certificate, _of(3)),
    Check("snapshot", "Snapshot of site.toml", limits.snapshot, _of(3, 7)),
    Check("backup-stack", "Cohort-Backup", stacks.kept, _of(4, 5, 6, 7)),
    Check("mail", "Mail server in the secret", mail.secret, _of(5, 6)),
    Check("host-stack", "Cohort-Host", stacks.host, _of(5, 6)),
    Check("worker-rights", "What the worker may do", rights.worker, _of(5, 6)),
    Check("web-rights", "What the web process may do", rights.web, _of(5, 6)),
    Check("dns", "DNS", reach.dns, _of(5, 6)),
    Check("certificate", "Certificate", reach.certificate, _of(5, 6)),
    Check("ready", "The site", reach.readiness, _of(5, 6)),
    Check("group-stacks", "Stacks of groups", stacks.groups, _of(6)),
    Check("cors", "CORS of the analysis buckets", reach.cors, _of(6)),
    Check("disk", "Disk", _on_host("control_plane.doctor.host", "disk"), _of(6, 7), is_of_host=True),
    Check("worker", "Database and worker", _on_host("control_plane.doctor.host", "readiness"), _of(6), is_of_host=True),
    Check("names", "Names", _on_host("control_plane.doctor.names", "names"), _of(6), is_of_host=True),
    Check("mail-server", "Mail server", mail.server, _of(6), is_of_host=True),
    Check("backup", "Backup of the database", _on_host("control_plane.doctor.host", "backup"), _of(6, 7, 8), is_of_host=True),
)


def look(around: Surroundings, step: int | None = None, checks: Iterable[Check] = CHECKS) -> Iterator[Line]:
    """Make those of the checks that this step needs, or all of them."""
    for check in checks:
        if step is None or step in check.steps:
            yield from (Line(check, finding) for finding in _look(check, around))


def _look(check: Check, around: Surroundings) -> list[Finding]:
    found: list[Finding] = []
    try:
        # One by one, so that what was found before something stood in the way is told too.
        found.extend(check.look(around))
    except NeedsStep as needs:
        found.append(not_yet(needs.step, needs.seen, needs.advice))
    except CannotLook as error:
        found.append(unknown(str(error), error.advice))
    except (BotoCoreError, ClientError) as error:
        found.append(unknown(why_not(error), "Run it with the account's administrator's rights, where they are missing."))
    except OSError as error:
        found.append(unknown(f"the network or this machine did not answer: {error}", "Try again."))
    return found
