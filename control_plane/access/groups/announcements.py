"""E-mails to members of groups and to those who decide about them, composed when they are announced.

Each is put into the outbox in the transaction that records the event.
"""

from collections.abc import Iterable

from django.db.models import Q

from control_plane.access.groups import join_messages
from control_plane.access.groups.models import Group, JoinRequest
from control_plane.accounts.models import User
from control_plane.deployments import announcements
from control_plane.deployments.models import Deployment
from control_plane.notifications.messages import Letter
from control_plane.notifications.models import Notice
from control_plane.notifications.outbox import MAX_RECIPIENTS, put_emails


def announce_access(deployment: Deployment, *, brought: int) -> None:
    """Announce access that began or ended, now that AWS was seen to hold generation `brought` of the group's stack.

    Must be called within the transaction that records that. `deployments.announcements` tells the person who asked for it.
    """
    group = Group.objects.filter(stack=deployment.stack_id).first()
    if group is None:
        return
    already_told = {person.email for person in announcements.recipients(deployment, Notice.Event.SUCCEEDED)}
    since, until = deployment.from_generation, brought
    here = Q(memberships__group=group)
    begun = here & Q(memberships__added_generation__gt=since, memberships__added_generation__lte=until)
    ended = here & Q(memberships__removed_generation__gt=since, memberships__removed_generation__lte=until)
    # A person who was added and removed before AWS was changed never had access; one who left and came back has it still.
    given = begun & Q(memberships__removed_generation__isnull=True)
    had = ended & Q(memberships__added_generation__lte=since)
    still = User.objects.filter(here, memberships__removed_generation__isnull=True)
    for event, people, letter in (
        (Notice.Event.ACCESS_GIVEN, User.objects.filter(given), join_messages.access_given(group)),
        (Notice.Event.ACCESS_ENDED, User.objects.filter(had).exclude(pk__in=still.values("pk")), join_messages.access_ended(group)),
    ):
        addresses = people.filter(is_active=True).order_by("pk").values_list("email", flat=True).distinct()
        put_emails(
            event=event,
            key=announcements.announcement_key(deployment, event, brought),
            recipients=[address for address in addresses if address not in already_told],
            letter=letter,
        )


def announce_request(join_request: JoinRequest, event: Notice.Event, recipients: Iterable[str]) -> None:
    """Announce an event of a request to join to MAX_RECIPIENTS addresses at most, in the transaction that records it."""
    put_emails(
        event=event,
        key=f"join request {join_request.pk} {event}",
        recipients=list(recipients)[:MAX_RECIPIENTS],
        letter=join_messages.about_request(join_request, event),
    )


def announce_about_group(
    group: Group, *, about: str, recipients: Iterable[str], subject: str, paragraphs: list[str], path: str
) -> None:
    """Announce something about a group to MAX_RECIPIENTS addresses at most, with a link to the page at `path`.

    `about` identifies the matter, such as 'key 3 of member 17 stops': nobody is told the same one twice. The words hold no secret.
    Must be called within the transaction that records the event.
    """
    put_emails(
        event=Notice.Event.ABOUT_GROUP,
        key=f"group {group.pk} {about}",
        recipients=list(recipients)[:MAX_RECIPIENTS],
        letter=Letter(subject, paragraphs, path),
    )
