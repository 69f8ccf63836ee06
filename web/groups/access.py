"""Access of the groups' pages: the person, the groups they may see or manage, and the redirect after a form."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.permissions import may_decide
from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import NotYours

MISSING = "There is no such group, or you are not in it."


def person(request: HttpRequest) -> User:
    """Return the signed-in person. Only for views behind `login_required`."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Sign in first.")
    return request.user


def visible_group(request: HttpRequest, slug: str) -> tuple[Group, Membership | None]:
    """Return the group and the person's membership, for its members and administrators. Raises NotYours as if there were none."""
    group = Group.objects.select_related("stack").filter(slug=slug).first()
    if group is None:
        raise NotYours(MISSING)
    mine = group.memberships.wanted().filter(user=person(request)).first()
    if mine is None and not is_administrator(request.user):
        raise NotYours(MISSING)
    return group, mine


def managed_group(request: HttpRequest, slug: str) -> Group:
    """Return the group if the person may decide about it. Raises PermissionDenied for its other members, NotYours for others."""
    group, _ = visible_group(request, slug)
    if not may_decide(Actor.of_request(request), group):
        raise PermissionDenied("Only the group's managers may do this. Nothing was changed; ask one of them.")
    return group


def member_of(group: Group, pk: int) -> Membership:
    """Return the wanted membership of this group with this number. Raises NotYours."""
    membership: Membership | None = group.memberships.wanted().select_related("user").filter(pk=pk).first()
    if membership is None:
        raise NotYours("There is no such member of this group.")
    return membership


def go_back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """Redirect to the page of this site that the form was on, if it names one."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    # Not by `redirect`, which takes a word without a slash for the name of a view.
    return HttpResponseRedirect(wanted) if is_ours and wanted.startswith("/") else redirect(otherwise)
