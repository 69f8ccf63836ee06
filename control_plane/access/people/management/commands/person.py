"""`manage.py person`: remove people, and let them in again."""

from argparse import ArgumentParser
from typing import Any

from control_plane.access.groups.services.members import find_user
from control_plane.access.people.removals import Loss, activate, preview_removal, remove_people
from control_plane.accounts.models import User
from control_plane.deployments.terminal import DeployingCommand

NO_ACCESS_BACK = "Access is not given back by itself: add them to their groups again."


class Command(DeployingCommand):
    """People from a terminal."""

    help = "Take everything from people at once, and let them in again."

    def add_verbs(self) -> None:
        remove = self.verb("remove", self.remove, "Take all access away in every group, and deactivate the accounts.", deploys=True)
        remove.add_argument("--delete", action="store_true", help="Erase the accounts once AWS has let go. It cannot be undone.")
        deactivate = self.verb("deactivate", self.remove, "The same as `remove` without --delete.", deploys=True)
        deactivate.set_defaults(delete=False)
        foreseen = self.verb("foresee", self.foresee, "Say what `remove` would take from each, and change nothing.")
        active = self.verb("activate", self.activate, "Let people sign in again; access does not come back by itself.")
        for parser in (remove, deactivate, foreseen, active):
            _who(parser)

    def foresee(self, options: dict[str, Any]) -> None:
        losses = preview_removal(_people(options))
        self.show(options, {"people": [_as_dict(loss) for loss in losses]}, "\n".join(map(_as_text, losses)))

    def remove(self, options: dict[str, Any]) -> None:
        people = _people(options)
        losses = preview_removal(people)
        deployments = remove_people(users=people, delete=options["delete"], actor=self.actor)
        after = "; the accounts are erased once AWS has let go" if options["delete"] else ""
        self.follow_all(
            options,
            deployments,
            {"people": [_as_dict(loss) for loss in losses], "delete": options["delete"]},
            "\n".join([*map(_as_text, losses), f"They cannot sign in any more{after}."]),
        )

    def activate(self, options: dict[str, Any]) -> None:
        changed = [person.email for person in activate(users=_people(options), actor=self.actor)]
        text = f"{', '.join(changed)} can sign in again. {NO_ACCESS_BACK}" if changed else "They are active already."
        self.show(options, {"activated": changed}, text)


def _who(parser: ArgumentParser) -> None:
    parser.add_argument("emails", metavar="e-mail", nargs="+", help="The people's addresses.")


def _people(options: dict[str, Any]) -> list[User]:
    """Return the people of these addresses, each once. Raises NotFound for the first unknown address."""
    return list({person.pk: person for person in map(find_user, options["emails"])}.values())


def _as_dict(loss: Loss) -> dict[str, Any]:
    return {
        "email": loss.user.email,
        "groups": [{"group": row.group.slug, "access": row.access, "is_manager": row.is_manager} for row in loss.memberships],
        "requests": loss.requests,
        "sessions": loss.sessions,
        "computers": loss.computers,
        "is_administrator": loss.is_administrator,
        "groups_without_manager": [group.slug for group in loss.unmanaged],
    }


def _as_text(loss: Loss) -> str:
    groups = ", ".join(f"{row.group.slug} ({row.access})" for row in loss.memberships) or "no group"
    lines = f"{loss.user.email}: {groups}; {loss.sessions} browsers, {loss.computers} computers, {loss.requests} requests"
    unmanaged = ", ".join(group.slug for group in loss.unmanaged)
    return f"{lines}\n  without a manager afterwards: {unmanaged}" if unmanaged else lines
