"""Lookups in IAM of principals that may not exist.

The ARN of a user, group or role that is not there has no path, since nobody knows it: to whoever may look under paths alone, as
the worker may (`stacks.site.host_policies`), IAM answers AccessDenied, not NoSuchEntity (Service Authorization Reference, "Actions,
resources, and condition keys for AWS Identity and Access Management").
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, TypeVar

from botocore.exceptions import ClientError

from control_plane.deployments.iam_delay import DENIED, MISSING, code_of
from control_plane.deployments.models import Stack
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_T = TypeVar("_T")


class IamLookups:
    """Lookups about one stack's principals, by names that lie under its group's path."""

    def __init__(self, client: "IAMClient", stack: Stack) -> None:
        self._client = client
        self._boundary = names.boundary_arn(stack.account, stack.region)

    def find(self, ask: Callable[[], _T]) -> _T | None:
        """Return what `ask` returns, or None where IAM has nothing of that name. Raises ClientError, also without the right."""
        try:
            return ask()
        except ClientError as error:
            if code_of(error) == MISSING or (code_of(error) in DENIED and self._may_look):
                return None
            raise

    def has(self, kind: Literal["role", "user", "group"], name: str) -> bool:
        """Return whether there is such a principal. Raises ClientError, also without the right to look."""
        match kind:
            case "role":
                return self.find(partial(self._client.get_role, RoleName=name)) is not None
            case "group":
                return self.find(partial(self._client.get_group, GroupName=name, MaxItems=1)) is not None
            case "user":
                return self.find(partial(self._client.get_user, UserName=name)) is not None

    @cached_property
    def _may_look(self) -> bool:
        """True if the worker has the right to look. The statement that gives it names the boundary too, which has no path."""
        try:
            self._client.get_policy(PolicyArn=self._boundary)
        except ClientError as error:
            return code_of(error) == MISSING
        return True
