"""Steps of a lockout: each is carried out whatever becomes of the others, and verified before it counts."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_delay, wait_exponential_jitter

from control_plane.base.aws import AwsFailure
from control_plane.deployments.iam_delay import (
    DENIED,
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    MISSING,
    SETTLES,
    code_of,
    is_absence,
    until_settled,
)
from control_plane.deployments.iam_lookups import IamLookups
from control_plane.deployments.models import Stack

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

logger = logging.getLogger("cohort.denying")


class NotSeen(Exception):
    """IAM accepted a change and does not show it."""


class LockoutIncomplete(AwsFailure):
    """Some steps of a lockout failed; the message names each with the reason. The others were carried out."""

    advice = "The others were carried out. It is tried again by itself; if that goes on, check the rights of the worker."
    is_passing = True


@dataclass(frozen=True)
class LockoutStep:
    """One change of one principal."""

    kind: Literal["role", "user", "group"]
    principal: str
    change: Callable[[], None]


def carry_out(client: "IAMClient", stack: Stack, steps: Sequence[LockoutStep], is_over: Callable[[], bool]) -> None:
    """Carry out every step; one whose principal does not exist counts as done. Raises LockoutIncomplete once all were tried.

    Once `is_over`, a deployment may have removed the principal: then it is no longer waited for.
    """
    lookups = IamLookups(client, stack)
    failed, absent = {}, []
    for step in steps:
        try:
            step.change()
        except (BotoCoreError, ClientError, NotSeen) as error:
            if is_absence(error):
                absent.append(step)
            else:
                failed[step] = error
    # A principal made a moment ago may not be visible yet; these come last, after the steps that need not wait.
    for step in absent:
        try:
            until_settled(step.change, stack.pk, lambda error: is_absence(error) and not is_over())
        except (BotoCoreError, ClientError, NotSeen) as error:
            if not _is_gone(lookups, step, error):
                failed[step] = error
    if failed:
        reasons = "; ".join(f"{step.kind} {step.principal}: {error}" for step, error in failed.items())
        raise LockoutIncomplete(f"{stack}: {len(failed)} of {len(steps)} could not be denied at once. {reasons}")


def wait_until_seen(is_there: Callable[[], bool], what: str) -> None:
    """Wait until IAM shows a change that it just accepted. Raises NotSeen if it does not within its longest delay (SETTLES)."""
    retrying = Retrying(
        retry=retry_if_exception(is_absence) | retry_if_result(lambda seen: not seen),
        wait=wait_exponential_jitter(initial=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
        stop=stop_after_delay(SETTLES),
        retry_error_callback=lambda _: False,
    )
    if not retrying(is_there):
        raise NotSeen(f"{what} was put, and IAM does not show it after {SETTLES.total_seconds():.0f} s")


def _is_gone(lookups: IamLookups, step: LockoutStep, error: BaseException) -> bool:
    """Return whether the principal does not exist, of which IAM says AccessDenied to rights that name paths."""
    if code_of(error) == MISSING:
        return True
    try:
        return code_of(error) in DENIED and not lookups.has(step.kind, step.principal)
    except (BotoCoreError, ClientError):
        return False
