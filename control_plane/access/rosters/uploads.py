"""Rosters uploaded to a page: checking them, and having a worker apply them."""

from django.db import transaction

from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services.apply import ChangedMeanwhile, check_applicable
from control_plane.access.rosters.services.encoding import decode
from control_plane.access.rosters.services.plan import make_plan
from control_plane.access.rosters.services.read import read_roster_text
from control_plane.access.rosters.services.waiting import store_plan
from control_plane.access.rosters.tasks import apply_roster
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused


class UnreadableFile(Refused):
    """The file cannot be read."""


class NotReady(Refused):
    """The roster is being applied, or was applied."""


def upload_roster(*, file_name: str, content: bytes, actor: Actor) -> Roster:
    """Check a file, and store it with the result until it is applied. Raises UnreadableFile or PermissionDenied."""
    require_administrator(actor)
    decoded = decode(content)
    if decoded.complaint:
        raise UnreadableFile(decoded.complaint)
    reading = read_roster_text(decoded.text, note=decoded.note)
    if not reading.rows:
        raise UnreadableFile(" ".join(map(str, reading.problems)) or "The file holds no rows. Nothing was read.")
    name = "".join(letter for letter in file_name if letter.isprintable())[:120] or "roster.csv"
    roster = Roster(file_name=name, text=decoded.text, asked_by=actor.label, asked_by_user=actor.user, address=actor.address)
    roster.notes = list(reading.notes)
    with transaction.atomic():
        store_plan(roster, make_plan(reading))
        record(actor, "roster.check", name, rows=len(reading.rows), roster=roster.pk)
    return roster


def check_again(roster: Roster, *, actor: Actor) -> Roster:
    """Repeat the dry run against the database as it is now. Raises NotReady or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        roster = _lock_ready(roster)
        roster.note = ""
        store_plan(roster, make_plan(read_roster_text(roster.text)))
    return roster


def ask_to_apply(roster: Roster, *, digest: str, good_rows: bool, actor: Actor) -> Roster:
    """Have a worker apply the plan of the dry run with this digest. The actor becomes the roster's actor.

    Raises NotReady, ChangedMeanwhile, HasRefusedRows, NothingToApply or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        roster = _lock_ready(roster)
        plan = make_plan(read_roster_text(roster.text))
        is_as_shown = digest == roster.digest == plan.digest
        if is_as_shown:
            check_applicable(plan, good_rows=good_rows)
            roster.state, roster.good_rows, roster.note, roster.outcomes = Roster.State.WAITING, good_rows, "", []
            roster.asked_by, roster.asked_by_user, roster.address = actor.label, actor.user, actor.address
            roster.save()
            record(actor, "roster.apply_asked", roster.file_name, roster=roster.pk, counts=plan.counts, good_rows=good_rows)
            apply_roster.enqueue(roster.pk)
        else:
            store_plan(roster, plan)
    if not is_as_shown:
        raise ChangedMeanwhile(plan)
    return roster


def _lock_ready(roster: Roster) -> Roster:
    """Return the roster, locked. Raises NotReady unless it is only checked so far."""
    roster = Roster.objects.select_for_update().get(pk=roster.pk)
    if roster.state != Roster.State.CHECKED:
        raise NotReady(f"This file is {roster.get_state_display()} already. Nothing was changed; upload it again for a new look.")
    return roster
