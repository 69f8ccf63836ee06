"""`manage.py member`: memberships of groups, and members' credentials."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, datetime, timedelta
from typing import Any

from control_plane.access.groups.errors import InvalidEnd
from control_plane.access.groups.models import Access, Membership
from control_plane.access.groups.services.access_method import change_access
from control_plane.access.groups.services.credentials import member_credentials
from control_plane.access.groups.services.expiry import last_moment, set_end
from control_plane.access.groups.services.groups import find_group
from control_plane.access.groups.services.keys import DEFAULT_OVERLAP, OldKey, end_overlap, rotate_key
from control_plane.access.groups.services.members import add_by_email, add_member, find_user, remove_member, set_manager
from control_plane.access.groups.services.suspension import resume_members, suspend_members
from control_plane.access.groups.services.transfers import move_member
from control_plane.deployments.terminal import DeployingCommand


class Command(DeployingCommand):
    """Memberships from a terminal."""

    help = "Add people to groups, remove them, and hand out their credentials."

    def add_verbs(self) -> None:
        add = self.verb("add", self.add, "Give a person access to a group.", deploys=True)
        _who(add)
        add.add_argument("--access", choices=Access.values, default=Access.FEDERATED.value, help="How they get in (federated).")
        add.add_argument("--create", action="store_true", help="Make the person if nobody has this address yet.")
        add.add_argument("--manager", action="store_true", help="Make them a manager of the group.")
        manager = self.verb("manager", self.manager, "Make a member a manager of the group.")
        _who(manager)
        manager.add_argument("--remove", action="store_true", help="Make a manager a member like others instead.")
        until = self.verb("until", self.until, "Have a membership end by itself after a day, or not any more.")
        _who(until)
        until.add_argument("day", help="The end date: the last day of access, such as 2027-06-30, or `never`.")
        access = self.verb("access", self.access, "Have a member get in by a key of their own, or without.", deploys=True)
        _who(access)
        access.add_argument("access", choices=Access.values)
        move = self.verb("move", self.move, "Move a member to another group, without a moment with neither.", deploys=True)
        _who(move)
        move.add_argument("to", metavar="other-slug", help="The slug of the group to move to.")
        move.add_argument("--access", choices=Access.values, help="How they get in there (as before).")
        _who(self.verb("remove", self.remove, "Take a person's access to a group away.", deploys=True))
        _who(self.verb("suspend", self.suspend, "Deny everything in a group to a member, within seconds.", deploys=True))
        _who(self.verb("resume", self.resume, "Let a suspended member in again.", deploys=True))
        rotate = self.verb("rotate", self.rotate, "Replace a member's access key; the old one works on for a while.", deploys=True)
        _who(rotate)
        add_overlap(rotate, "How long the old key works beside the new one; with 0 it ends at once.")
        old = self.verb("old-key", self.old_key, "Say what becomes of the key before the present one.", deploys=True)
        _who(old)
        old.add_argument("wish", choices=[wish.value for wish in OldKey])
        add_overlap(old, "With bring-back: how long it works again.")
        _who(self.verb("credentials", self.credentials, "Print a member's credentials as a credential_process document."))

    def add(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"])
        given: dict[str, Any] = {"access": Access(options["access"]), "as_manager": options["manager"], "actor": self.actor}
        if options["create"]:
            user, deployment = add_by_email(group=group, email=options["email"], **given)
        else:
            user = find_user(options["email"])
            deployment = add_member(group=group, user=user, **given)
        membership = Membership.objects.wanted().get(group=group, user=user)
        member = {"email": user.email, "username": membership.username, "access": membership.access}
        self.follow(options, deployment, {"group": group.slug, "member": member}, f"{user.email} is being added to {group.name}.")

    def remove(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        deployment = remove_member(group=group, user=user, actor=self.actor)
        self.follow(
            options,
            deployment,
            {"group": group.slug, "member": {"email": user.email}},
            f"{user.email}'s access to {group.name} is being removed.",
        )

    def until(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        membership = set_end(group=group, user=user, ends_at=_end_of(options["day"]), actor=self.actor)
        until = f"ends after {options['day']}" if membership.ends_at else "does not end by itself"
        document = {"group": group.slug, "member": {"email": user.email, "ends_at": membership.ends_at}}
        self.show(options, document, f"{user.email}'s access to {group.name} {until}.")

    def access(self, options: dict[str, Any]) -> None:
        group, user, access = find_group(options["group"]), find_user(options["email"]), Access(options["access"])
        deployment = change_access(group=group, user=user, access=access, actor=self.actor)
        document = {"group": group.slug, "member": {"email": user.email, "access": access.value}}
        self.follow(options, deployment, document, f"{user.email} gets into {group.name} with {access.value} from now on.")

    def move(self, options: dict[str, Any]) -> None:
        source, target, user = find_group(options["group"]), find_group(options["to"]), find_user(options["email"])
        access = Access(options["access"]) if options["access"] else None
        deployment = move_member(source=source, target=target, user=user, access=access, actor=self.actor)
        self.follow(
            options,
            deployment,
            {"group": target.slug, "member": {"email": user.email}},
            f"{user.email} is being added to {target.name}; the access to {source.name} ends once that is active.",
        )

    def suspend(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        deployment = suspend_members(group=group, users=[user], actor=self.actor)
        text = f"{user.email} is suspended in {group.name}: AWS denies everything within seconds."
        self.follow(options, deployment, {"group": group.slug, "member": {"email": user.email, "suspended": True}}, text)

    def resume(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        deployment = resume_members(group=group, users=[user], actor=self.actor)
        text = f"{user.email} is not suspended in {group.name} any more, and gets in again once this is deployed."
        self.follow(options, deployment, {"group": group.slug, "member": {"email": user.email, "suspended": False}}, text)

    def rotate(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        deployment = rotate_key(group=group, user=user, actor=self.actor, overlap=options["overlap"])
        member = {"email": user.email} | _key_of(Membership.objects.wanted().get(group=group, user=user))
        self.follow(
            options,
            deployment,
            {"group": group.slug, "member": member},
            f"{user.email}'s access key in {group.name} is being replaced.",
        )

    def old_key(self, options: dict[str, Any]) -> None:
        group, user, wish = find_group(options["group"]), find_user(options["email"]), OldKey(options["wish"])
        deployment = end_overlap(group=group, user=user, actor=self.actor, wish=wish, overlap=options["overlap"])
        member = {"email": user.email} | _key_of(Membership.objects.wanted().get(group=group, user=user))
        doing = {OldKey.REMOVE: "removed", OldKey.STOP: "made inactive", OldKey.BRING_BACK: "brought back"}[wish]
        self.follow(
            options,
            deployment,
            {"group": group.slug, "member": member},
            f"{user.email}'s old access key in {group.name} is being {doing}.",
        )

    def manager(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        membership = set_manager(group=group, user=user, is_manager=not options["remove"], actor=self.actor)
        document = {"group": group.slug, "member": {"email": user.email, "is_manager": membership.is_manager}}
        now = "manages" if membership.is_manager else "does not manage"
        self.show(options, document, f"{user.email} {now} {group.name}.")

    def credentials(self, options: dict[str, Any]) -> None:
        group, user = find_group(options["group"]), find_user(options["email"])
        document = member_credentials(group=group, user=user, actor=self.actor).as_credential_process()
        # Always JSON: it is what AWS's SDKs and command line read from a credential_process.
        self.stdout.write(json.dumps(document))


def _end_of(day: str) -> datetime | None:
    """Return the last moment of this day, or None for `never`. Raises InvalidEnd."""
    if day == "never":
        return None
    try:
        return last_moment(date.fromisoformat(day))
    except ValueError as error:
        raise InvalidEnd(f"{day!r} is not a day. Nothing was changed; write it as 2027-06-30, or `never`.") from error


def add_overlap(parser: ArgumentParser, description: str) -> None:
    """Add `--overlap-days` to a command about keys; it is a timedelta in `options["overlap"]`."""
    parser.add_argument(
        "--overlap-days",
        dest="overlap",
        type=_days,
        default=DEFAULT_OVERLAP,
        metavar="N",
        help=f"{description} (default {DEFAULT_OVERLAP.days})",
    )


def _days(text: str) -> timedelta:
    try:
        return timedelta(days=int(text))
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is no number of days") from error


def _key_of(membership: Membership) -> dict[str, Any]:
    """Return the state of a member's keys, for JSON output."""
    return {
        "key_serial": membership.key_serial,
        "previous_key": membership.previous_key or None,
        "previous_key_until": membership.previous_key_until,
    }


def _who(parser: ArgumentParser) -> None:
    parser.add_argument("group", metavar="slug", help="The group's slug.")
    parser.add_argument("email", metavar="e-mail", help="The person's address.")
