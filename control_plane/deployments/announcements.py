"""Announcements of how a deployment ended, or that it waits for approval: e-mails in a person's words, and the webhook's document.

They are composed when they are announced, of the rows as the transaction has written them.
"""

from typing import Any

from django.db import transaction
from django.db.models import Case, Q, When
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.base.config import config
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.serializers import deployment_as_dict
from control_plane.notifications.messages import Letter, absolute_url
from control_plane.notifications.models import Notice
from control_plane.notifications.outbox import MAX_RECIPIENTS, put_emails, put_webhook
from stacks import names

# Left out of the webhook's document: they grow with the group, and the link shows them. Receivers expect 20 kB at most.
LARGE = ("plan", "resources")
MAX_LISTED_CHANGES = 20
PREFIX = {
    Notice.Event.SUCCEEDED: "Done",
    Notice.Event.FAILED: "Failed",
    Notice.Event.CANCELLED: "Cancelled",
    Notice.Event.APPROVAL: "Approval needed",
}


def announce(deployment: Deployment, event: str) -> None:
    """Announce a deployment's end, or its wait for approval, by e-mail and webhook. `event` is a `Notice.Event`.

    Must be called within the transaction that records what is announced, once all of that is recorded: a later change of the
    error or the advice is not announced. Calling it again for the same end adds nothing.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("announce needs the transaction that records what is told.")
    event = Notice.Event(event)
    key = announcement_key(deployment, event, deployment.generation)
    # Read anew: another process may have recorded an approval, or a request to cancel.
    recorded = Deployment.objects.select_related("stack").prefetch_related("changes").get(pk=deployment.pk)
    for person in recipients(recorded, event):
        put_emails(event=event, key=key, recipients=[person.email], letter=_letter(recorded, event, person))
    put_webhook(event=event, key=key, document_type=f"deployment.{event}", data=_data(recorded))


def announcement_key(deployment: Deployment, event: Notice.Event, generation: int) -> str:
    """Return the dedupe key of an announcement: a later generation needs approval, and is announced, anew."""
    return f"deployment {deployment.pk} generation {generation} {event}"


def recipients(deployment: Deployment, event: Notice.Event) -> list[User]:
    """Return the active users to notify, MAX_RECIPIENTS at most: first those who asked for the changes, then administrators."""
    changes = deployment.changes.all()
    asked = Q(pk__in={change.actor_user_id for change in changes if change.actor_user_id})
    administrators = Q(is_staff=True, is_superuser=True)
    match event:
        case Notice.Event.APPROVAL:
            # As `approvals.may_decide`: nobody approves what they asked for.
            wanted = administrators & ~asked & ~Q(email__in={change.actor for change in changes})
        case Notice.Event.FAILED:
            wanted = asked | administrators
        case Notice.Event.SUCCEEDED | Notice.Event.CANCELLED:
            if not config().notify_completion:
                return []
            wanted = asked
        case _:
            raise ValueError(f"{event} is not a deployment's state.")
    people = User.objects.filter(wanted, is_active=True).order_by(Case(When(asked, then=0), default=1), "pk")
    return list(people[:MAX_RECIPIENTS])


def _letter(deployment: Deployment, event: Notice.Event, recipient: User) -> Letter:
    summaries = [change.summary for change in deployment.changes.all()] or [f"Deploying {deployment.stack.title}"]
    more = f" and {len(summaries) - 1} more" if len(summaries) > 1 else ""
    return Letter(
        f"{PREFIX[event]}: {summaries[0]}{more}",
        [_list(summaries) if more else f"{summaries[0]}.", *_what_happened(deployment, event)],
        _path_for(recipient, deployment),
        _why(recipient, deployment),
    )


def _data(deployment: Deployment) -> dict[str, Any]:
    """Return the webhook's document: the deployment without its log, plan and resources."""
    data = {name: value for name, value in deployment_as_dict(deployment).items() if name not in LARGE}
    return {**data, "url": absolute_url(deployment.get_absolute_url())}


def _path_for(recipient: User, deployment: Deployment) -> str:
    """Return a page that the recipient may see: deployments are shown to administrators, a group's page to its members."""
    if deployment.stack.kind == Stack.Kind.GROUP and not is_administrator(recipient):
        return reverse("group", args=(deployment.stack.name.removeprefix(names.group_stack("")),))
    return deployment.get_absolute_url()


def _list(summaries: list[str]) -> str:
    unlisted = len(summaries) - MAX_LISTED_CHANGES
    more = [f"- and {unlisted} more"] if unlisted > 0 else []
    return "\n".join([*(f"- {summary}" for summary in summaries[:MAX_LISTED_CHANGES]), *more])


def _what_happened(deployment: Deployment, event: Notice.Event) -> list[str]:
    match event:
        case Notice.Event.SUCCEEDED:
            return [f"It is active on AWS now{f'; it took {deployment.took}' if deployment.took else ''}."]
        case Notice.Event.APPROVAL:
            return ["It waits until an administrator who did not ask for it approves it. Nothing has changed on AWS yet."]
        case _:
            return [text for text in (deployment.error, deployment.advice) if text]


def _why(recipient: User, deployment: Deployment) -> str:
    asked = any(change.actor_user_id == recipient.pk for change in deployment.changes.all())
    return "because you asked for it" if asked else "because you are an administrator"
