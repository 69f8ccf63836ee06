"""IAM's eventual consistency: what a deployment just made or changed may not work, or not be seen, for a while.

IAM is eventually consistent (IAM user guide, "Troubleshoot IAM", "Changes that I make are not always immediately visible"). The
guide gives no number; changes usually take seconds.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from botocore.exceptions import ClientError
from django.utils import timezone
from tenacity import Retrying, retry_if_exception, wait_exponential_jitter

from control_plane.deployments.models import Deployment

# How long after a change of ours a refusal may be due to IAM's delay.
SETTLES = timedelta(seconds=60)
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 0.2, 5.0
# Time that pages and programs wait before they ask again.
ASK_AGAIN_SECONDS = 2
DENIED = ("AccessDenied", "AccessDeniedException")
# The latter two are for a key that is not known yet (from S3, and from the other services).
REFUSED = (*DENIED, "InvalidAccessKeyId", "InvalidClientTokenId")
MISSING = "NoSuchEntity"

_T = TypeVar("_T")


def settles_at(stack_id: int) -> datetime | None:
    """Return until when AWS may answer as before the stack's last deployment; None if that is over. One query."""
    recent = Deployment.objects.filter(stack=stack_id, finished_at__gt=timezone.now() - SETTLES)
    last = recent.order_by("-finished_at").values_list("finished_at", flat=True).first()
    return last + SETTLES if last else None


def is_settling(stack_id: int) -> bool:
    """Return whether AWS may still answer as before the stack's last deployment. One query."""
    return settles_at(stack_id) is not None


def until_settled(ask: Callable[[], _T], stack_id: int, is_late: Callable[[BaseException], bool]) -> _T:
    """Return what `ask` returns, asking again after errors that may be IAM's delay, for as long as the stack is settling.

    For workers and the terminal: it sleeps between tries. Raises what `ask` raises in the end; any other error at once.
    """
    again = retry_if_exception(lambda error: is_late(error) and is_settling(stack_id))
    wait = wait_exponential_jitter(initial=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS)
    return Retrying(retry=again, wait=wait, reraise=True)(ask)


def code_of(error: BaseException) -> str:
    """Return AWS's code of an error; empty where AWS did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def is_refusal(error: BaseException) -> bool:
    """Return whether AWS refused for want of a right, or of a key or role that it knows."""
    return code_of(error) in REFUSED


def is_absence(error: BaseException) -> bool:
    """Return whether the error may mean that what was named is not there: see `iam_lookups`."""
    return code_of(error) in (*DENIED, MISSING)
