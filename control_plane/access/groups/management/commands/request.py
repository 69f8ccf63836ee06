"""`manage.py request`: requests to join groups, and decisions about them."""

from argparse import ArgumentParser
from typing import Any

from control_plane.access.groups.models import Access, JoinRequest
from control_plane.access.groups.services.joining import approve, decline
from control_plane.base.errors import NotFound
from control_plane.base.terminal import table
from control_plane.deployments.terminal import DeployingCommand


class Command(DeployingCommand):
    """Requests to join from a terminal."""

    help = "List the requests to join groups, and decide them."

    def add_verbs(self) -> None:
        listed = self.verb("list", self.list, "List the requests that wait for a decision.")
        listed.add_argument("--all", action="store_true", help="Those that are decided or not verified, too.")
        approved = self.verb("approve", self.approve, "Give the person access.", deploys=True)
        _which(approved)
        approved.add_argument(
            "--access", choices=Access.values, default=Access.FEDERATED.value, help="How they get in (federated)."
        )
        approved.add_argument("--manager", action="store_true", help="Make them a manager of the group.")
        approved.add_argument("--slug", default="", help="For a new group: its short name on AWS, which cannot be changed later.")
        declined = self.verb("decline", self.decline, "Refuse the request.")
        _which(declined)
        declined.add_argument("--note", default="", help="What the person is told.")

    def list(self, options: dict[str, Any]) -> None:
        requests = JoinRequest.objects.select_related("user", "group", "deployment")
        if not options["all"]:
            requests = requests.filter(state=JoinRequest.State.WAITING)
        rows = [[str(row.pk), row.user.email, row.place, row.state, f"{row.created_at:%Y-%m-%d %H:%M}"] for row in requests]
        self.show(options, [request_as_dict(row) for row in requests], table(rows, ["ID", "PERSON", "WANTS", "STATE", "ASKED"]))

    def approve(self, options: dict[str, Any]) -> None:
        request = _find(options["id"])
        deployment = approve(
            request,
            actor=self.actor,
            access=Access(options["access"]),
            as_manager=options["manager"],
            new_group_slug=options["slug"],
        )
        request = _find(options["id"])
        text = f"{request.user.email} is being added to {request.place}."
        self.follow(options, deployment, {"request": request_as_dict(request)}, text)

    def decline(self, options: dict[str, Any]) -> None:
        decline(_find(options["id"]), actor=self.actor, note=options["note"])
        request = _find(options["id"])
        self.show(options, request_as_dict(request), f"Declined; {request.user.email} is told by e-mail.")


def request_as_dict(request: JoinRequest) -> dict[str, Any]:
    """Return a request for JSON output. Times are ISO 8601 in UTC."""
    return {
        "id": request.pk,
        "person": request.user.email,
        "group": request.group.slug if request.group else None,
        "new_group": request.requested_name or None,
        "state": request.state,
        "created_at": request.created_at.isoformat(),
        "decided_at": request.decided_at.isoformat() if request.decided_at else None,
        "decided_by": request.decided_by,
        "note": request.note,
        "deployment": request.deployment_id,
    }


def _which(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=int, help="The request's number, as `list` shows it.")


def _find(pk: int) -> JoinRequest:
    request = JoinRequest.objects.select_related("user", "group").filter(pk=pk).first()
    if request is None:
        raise NotFound(f"There is no request {pk}. Nothing was changed; `manage.py request list --all` shows those there are.")
    return request
