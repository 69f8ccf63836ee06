"""What is said about a deployment: the e-mail in a person's words, and the webhook's document."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.config import config
from control_plane.deployments.models import Deployment
from control_plane.deployments.present import deployment_as_dict
from control_plane.notifications import join_messages
from control_plane.notifications.models import Notice

if TYPE_CHECKING:
    from control_plane.groups.models import Group

# A longer subject is cut by most mail programs.
LONGEST_SUBJECT = 150
# Left out of the webhook's document: they grow with the group, and the link shows them. Receivers expect 20 kB at most.
LARGE = ("plan", "resources")
MOST_LISTED = 20
PREFIX = {
    Notice.Event.SUCCEEDED: "Done",
    Notice.Event.FAILED: "Failed",
    Notice.Event.CANCELLED: "Cancelled",
    Notice.Event.APPROVAL: "Approval needed",
}


@dataclass(frozen=True)
class Message:
    """One e-mail: plain text, one link."""

    subject: str
    body: str


def message(notice: Notice) -> Message:
    """The e-mail that tells this notice."""
    subject, paragraphs = _about_a_deployment(notice) if notice.event in PREFIX else join_messages.parts(notice)
    return Message(_cut(" ".join(subject.split())), "\n\n".join(paragraphs) + "\n")


def document(notice: Notice) -> dict[str, Any]:
    """What the webhook posts: the event, and the deployment without its log, plan and resources."""
    deployment = _deployment(notice)
    data = {name: value for name, value in deployment_as_dict(deployment).items() if name not in LARGE}
    return {
        "id": notice.message_id,
        "type": f"deployment.{notice.event}",
        "timestamp": notice.created_at.isoformat(),
        "data": {**data, "url": link(deployment)},
    }


def link(deployment: Deployment) -> str:
    """The page of the deployment, from anywhere."""
    return f"{config().site_url.rstrip('/')}{deployment.get_absolute_url()}"


def _about_a_deployment(notice: Notice) -> tuple[str, list[str]]:
    deployment, event = _deployment(notice), Notice.Event(notice.event)
    asked_for = [change.summary for change in deployment.changes.all()] or [f"Deploying {deployment.stack.title}"]
    more = f" and {len(asked_for) - 1} more" if len(asked_for) > 1 else ""
    paragraphs = [
        _list(asked_for) if more else f"{asked_for[0]}.",
        *_what_happened(deployment, event),
        _link_for(notice.recipient, deployment),
        f"Cohort tells you this {_why(notice.recipient, deployment)}.",
    ]
    return f"{PREFIX[event]}: {asked_for[0]}{more}", paragraphs


def _deployment(notice: Notice) -> Deployment:
    if notice.deployment is None:
        raise ValueError(f"{notice} is about no deployment.")
    return notice.deployment


def _link_for(recipient: str, deployment: Deployment) -> str:
    """A page that the recipient may see: deployments are shown to administrators, a group's page to its members."""
    group: Group | None = getattr(deployment.stack, "group", None)
    if group is None or is_administrator(User.objects.filter(email=recipient).first()):
        return link(deployment)
    return f"{config().site_url.rstrip('/')}{group.get_absolute_url()}"


def _list(summaries: list[str]) -> str:
    unlisted = len(summaries) - MOST_LISTED
    return "\n".join([*(f"- {one}" for one in summaries[:MOST_LISTED]), *([f"- and {unlisted} more"] if unlisted > 0 else [])])


def _what_happened(deployment: Deployment, event: Notice.Event) -> list[str]:
    match event:
        case Notice.Event.SUCCEEDED:
            return [f"AWS has it now{f'; it took {deployment.took}' if deployment.took else ''}."]
        case Notice.Event.APPROVAL:
            return ["It waits until an administrator who did not ask for it approves it. Nothing has changed on AWS yet."]
        case _:
            return [text for text in (deployment.error, deployment.advice) if text]


def _why(recipient: str, deployment: Deployment) -> str:
    asked = any(change.actor_user and change.actor_user.email == recipient for change in deployment.changes.all())
    return "because you asked for it" if asked else "because you administer it"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SUBJECT else f"{text[: LONGEST_SUBJECT - 1]}…"
