"""`manage.py joincode`: codes by which people request to join a group."""

from typing import Any

from control_plane.access.groups.models import Group, JoinCode
from control_plane.access.groups.services.groups import find_group
from control_plane.access.groups.services.join_codes import DEFAULT_DAYS, make_join_code, rotate_join_code, withdraw_join_code
from control_plane.base.errors import NotFound
from control_plane.base.terminal import VerbCommand, table


class Command(VerbCommand):
    """Join codes from a terminal."""

    help = "Make, list, rotate and withdraw the codes by which people ask to join a group."

    def add_verbs(self) -> None:
        create = self.verb("create", self.create, "Make a code and print it, this once.")
        create.add_argument("group", metavar="slug")
        create.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"How long it works (default {DEFAULT_DAYS}).")
        create.add_argument("--most-uses", type=int, help="How many people can ask by it (any number, if left out).")
        self.verb("list", self.list, "List a group's codes, without the codes themselves.").add_argument("group", metavar="slug")
        for name, run, description in (
            ("rotate", self.rotate, "Withdraw a code and print another in its place."),
            ("withdraw", self.withdraw, "End a code at once."),
        ):
            verb = self.verb(name, run, description)
            verb.add_argument("group", metavar="slug")
            verb.add_argument("prefix", help="What the code begins with, as `list` shows it.")

    def create(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"])
        code, text = make_join_code(group=group, actor=self.actor, days=options["days"], most_uses=options["most_uses"])
        self._print(options, code, text)

    def list(self, options: dict[str, Any]) -> None:
        codes = find_group(options["group"]).join_codes.all()
        rows = [[code.prefix, code.state, _uses(code), f"{code.expires_at:%Y-%m-%d}", code.created_by] for code in codes]
        self.show(
            options, [code_as_dict(code) for code in codes], table(rows, ["BEGINS", "STATE", "USED", "WORKS UNTIL", "MADE BY"])
        )

    def rotate(self, options: dict[str, Any]) -> None:
        code = _find(find_group(options["group"]), options["prefix"])
        self._print(options, *rotate_join_code(code=code, actor=self.actor))

    def withdraw(self, options: dict[str, Any]) -> None:
        code = _find(find_group(options["group"]), options["prefix"])
        withdraw_join_code(code=code, actor=self.actor)
        code.refresh_from_db()
        self.show(options, code_as_dict(code), f"The code that begins with {code.prefix} does not work any more.")

    def _print(self, options: dict[str, Any], code: JoinCode, text: str) -> None:
        message = f"{text}\nIt is shown this once. It works until {code.expires_at:%Y-%m-%d %H:%M} UTC."
        self.show(options, code_as_dict(code) | {"code": text}, message)


def code_as_dict(code: JoinCode) -> dict[str, Any]:
    """Return a join code's row, without the code itself, for JSON output."""
    return {
        "group": code.group.slug,
        "prefix": code.prefix,
        "state": code.state,
        "uses": code.uses,
        "most_uses": code.most_uses,
        "created_by": code.created_by,
        "created_at": code.created_at.isoformat(),
        "expires_at": code.expires_at.isoformat(),
    }


def _find(group: Group, prefix: str) -> JoinCode:
    code = group.join_codes.filter(prefix=prefix.strip().upper()[:4], withdrawn_at__isnull=True).first()
    if code is None:
        raise NotFound(f"{group.name} has no code that begins with {prefix!r}. Nothing was changed; `list` shows those there are.")
    return code


def _uses(code: JoinCode) -> str:
    return f"{code.uses} of {code.most_uses}" if code.most_uses else str(code.uses)
