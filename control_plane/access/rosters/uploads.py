"""Rosters that are uploaded to a page: looked at, and given to a worker to apply."""

from django.db import transaction

from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services.apply import ChangedMeanwhile, check_applicable
from control_plane.access.rosters.services.encoding import decode
from control_plane.access.rosters.services.plan import make_plan
from control_plane.access.rosters.services.read import read_text
from control_plane.access.rosters.services.waiting import note_plan
from control_plane.access.rosters.tasks import apply_roster
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused


class UnreadableFile(Refused):
    """The file is not one that can be looked at."""


class NotReady(Refused):
    """The roster is being applied, or was."""


def upload(*, file_name: str, content: bytes, actor: Actor) -> Roster:
    """Look at a file, and keep it until it is applied. Raises UnreadableFile or PermissionDenied."""
    require_administrator(actor)
    decoded = decode(content)
    if decoded.complaint:
        raise UnreadableFile(decoded.complaint)
    reading = read_text(decoded.text, note=decoded.note)
    if not reading.rows:
        raise UnreadableFile(" ".join(map(str, reading.problems)) or "The file holds no rows. Nothing was read.")
    name = "".join(letter for letter in file_name if letter.isprintable())[:120] or "roster.csv"
    roster = Roster(file_name=name, text=decoded.text, asked_by=actor.label, asked_by_user=actor.user, address=actor.address)
    roster.notes = list(reading.notes)
    with transaction.atomic():
        note_plan(roster, make_plan(reading))
        record(actor, "roster.check", name, rows=len(reading.rows), roster=roster.pk)
    return roster


def look_again(roster: Roster, *, actor: Actor) -> Roster:
    """Make the dry run anew, against the database as it is now. Raises NotReady or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        roster = _ready(roster)
        roster.note = ""
        note_plan(roster, make_plan(read_text(roster.text)))
    return roster


def ask_to_apply(roster: Roster, *, digest: str, good_rows: bool, actor: Actor) -> Roster:
    """Have a worker apply what the dry run of this digest showed. Whoever asks answers for it.

    Raises NotReady, ChangedMeanwhile, HasRefusedRows, NothingToApply or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        roster = _ready(roster)
        plan = make_plan(read_text(roster.text))
        is_as_shown = digest == roster.digest == plan.digest
        if is_as_shown:
            check_applicable(plan, good_rows=good_rows)
            roster.state, roster.good_rows, roster.note, roster.outcomes = Roster.State.WAITING, good_rows, "", []
            roster.asked_by, roster.asked_by_user, roster.address = actor.label, actor.user, actor.address
            roster.save()
            record(actor, "roster.apply_asked", roster.file_name, roster=roster.pk, counts=plan.counts, good_rows=good_rows)
            apply_roster.enqueue(roster.pk)
        else:
            note_plan(roster, plan)
    if not is_as_shown:
        raise ChangedMeanwhile(plan)
    return roster


def _ready(roster: Roster) -> Roster:
    """The roster, locked, if it can be looked at and applied."""
    roster = Roster.objects.select_for_update().get(pk=roster.pk)
    if roster.state != Roster.State.CHECKED:
        raise NotReady(f"This file is {roster.get_state_display()} already. Nothing was changed; upload it again for a new look.")
    return roster
