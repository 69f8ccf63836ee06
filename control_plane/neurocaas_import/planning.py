"""Plan of an import, made from the profiles and the database without changing anything.

Rules:
- The same name (case, width and white space apart) is the same group: in two profiles, or in the database.
  `--group NAME=slug` says otherwise, or gives it a slug of one's choice.
- Of two groups that would get one slug, the later gets a number after it. A slug that a group of another name has already is
  refused, because only a person can know whether they are one. A retired group's name is refused.
- Somebody who was in the group and is no more, and an analysis that was taken away again, are refused: an import does not undo
  what was decided since. Somebody whose account is not active is refused.
- A pipeline is the analysis with that bucket, or the one that `--pipeline NAME=slug` says. An unknown one is refused with what to
  do, or made with `--create-analyses`. What is granted is read and write, as the predecessor's was.
- A group of whose people and analyses nothing can be taken is not made. What stands in a group that is refused is refused.
- Where the old folder's name or bucket is another than the new one, the copying of the data is the person's, by a ready command.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from control_plane.access.groups.models import Membership
from control_plane.accounts.models import User
from control_plane.neurocaas_import.copy_command import copy_command
from control_plane.neurocaas_import.entries import Entry, Fate, shown
from control_plane.neurocaas_import.normalising import is_template
from control_plane.neurocaas_import.people import Person, find_people
from control_plane.neurocaas_import.pipelines import Pipelines
from control_plane.neurocaas_import.profiles import Affiliate, find_affiliates, region_of
from control_plane.neurocaas_import.reading import Profile
from control_plane.neurocaas_import.targets import ImportChoices, PlannedAffiliate, Target, Targets

ROWS_PER_QUERY = 500


@dataclass
class PlannedProfile:
    """A profile with the plans of its affiliates."""

    profile: Profile
    affiliates: list[PlannedAffiliate]
    region: str = ""

    def entries(self) -> list[Entry]:
        """Return every entry, the profile's own first."""
        below = [[affiliate.entry, *affiliate.entries()] for affiliate in self.affiliates]
        return [self.profile.entry, *(entry for entries in below for entry in entries)]


@dataclass
class ImportPlan:
    """The plan of a whole import."""

    profiles: list[PlannedProfile]
    targets: list[Target]
    pipelines: Pipelines
    remarks: list[str]


def make_plan(profiles: list[Profile], choices: ImportChoices) -> ImportPlan:
    """Decide the fate of every entry of these profiles."""
    pipelines = Pipelines(choices.pipelines, creates=choices.creates_analyses)
    planned = [_plan_profile(profile, choices, pipelines) for profile in profiles]
    affiliates = [affiliate for profile in planned for affiliate in profile.affiliates]
    targets = Targets(choices)
    targets.assign([affiliate for affiliate in affiliates if not affiliate.entry.is_refused])
    _settle_people(affiliates)
    _settle_uses(affiliates, pipelines)
    for affiliate in affiliates:
        _settle_group(affiliate)
    for profile in planned:
        _finish_profile(profile)
    unused = [f"--group={shown(key)}" for key in choices.groups if key not in targets.used_choices]
    unused += [f"--pipeline={shown(key)}" for key in choices.pipelines if key not in pipelines.used_choices]
    remarks = [f"Nothing that is read here has the name in {option}=…" for option in unused]
    return ImportPlan(planned, targets.all, pipelines, [*filter(None, [pipelines.remark_on_patterns()]), *remarks])


def _plan_profile(profile: Profile, choices: ImportChoices, pipelines: Pipelines) -> PlannedProfile:
    if profile.document is None:
        return PlannedProfile(profile, [])
    affiliates = find_affiliates(profile)
    return PlannedProfile(
        profile, [_plan_affiliate(affiliate, choices, pipelines) for affiliate in affiliates], region_of(profile.document)
    )


def _plan_affiliate(affiliate: Affiliate, choices: ImportChoices, pipelines: Pipelines) -> PlannedAffiliate:
    planned = PlannedAffiliate(affiliate.entry)
    if affiliate.entry.is_refused and not affiliate.fields:
        return planned
    if is_template(affiliate.fields):
        affiliate.entry.refuse("This is the template that nobody filled in. Nothing is lost by leaving it out.")
        return planned
    planned.raw_name = affiliate.fields.get("AffiliateName")
    planned.people = find_people(affiliate.fields, affiliate.entry, planned.old_name, choices.book)
    planned.uses = pipelines.find(affiliate.fields.get("Pipelines"), affiliate.entry)
    return planned


def _settle_people(affiliates: list[PlannedAffiliate]) -> None:
    with_target = [affiliate for affiliate in affiliates if affiliate.target]
    wanted = {person.email for affiliate in with_target for person in affiliate.people if person.email}
    inactive = _query_in_chunks(
        wanted, lambda emails: User.objects.filter(email__in=emails, is_active=False).values_list("email", flat=True)
    )
    groups = {affiliate.target.group.pk for affiliate in with_target if affiliate.target and affiliate.target.group}
    there: dict[tuple[int, str], bool] = {}
    memberships = Membership.objects.filter(group__in=groups).values_list("group", "user__email", "removed_generation")
    for group, email, removed in memberships:
        there[group, email] = there.get((group, email), False) or removed is None
    for affiliate in with_target:
        for person in affiliate.people:
            _settle_person(person, affiliate.target, inactive, there)  # type: ignore[arg-type]


def _settle_person(person: Person, target: Target, inactive: set[str], there: dict[tuple[int, str], bool]) -> None:
    entry = person.entry
    if person.same_as is not None:
        person.email, entry.becomes = person.same_as.email, person.same_as.entry.becomes
        if person.same_as.entry.is_refused:
            entry.refuse("The name is given more than once; see the first.")
            return
        entry.mend("The name is given more than once; it is one person.")
    if entry.is_refused or person.email is None:
        return
    membership = there.get((target.group.pk, person.email)) if target.group else None
    if membership:
        entry.mark_present()
    elif membership is False:
        entry.refuse(
            f"{person.email} was in this group, and the access was taken away since. If it is to come back: "
            f"manage.py member add {target.slug} {person.email}"
        )
    elif person.email in inactive:
        entry.refuse(f"The account of {person.email} is not active. Activate it, then run this again.")
    else:
        entries = target.users.setdefault(person.email, [])
        if entries and person.same_as is None:
            entry.mend(f"{person.email} is the address of another name in this group, too; they are one person.")
        entries.append(entry)


def _settle_uses(affiliates: list[PlannedAffiliate], pipelines: Pipelines) -> None:
    granted = pipelines.granted(
        [affiliate.target.group.pk for affiliate in affiliates if affiliate.target and affiliate.target.group]
    )
    for affiliate in affiliates:
        for use in affiliate.uses if affiliate.target else []:
            pipelines.settle(use, granted.get(affiliate.target.group.pk, {}) if affiliate.target and affiliate.target.group else {})
            if use.entry.is_refused or use.slug is None or use.entry.fate == Fate.THERE or affiliate.target is None:
                continue
            first = affiliate.target.uses.setdefault(use.slug, use)
            if first is not use:
                first.others.append(use.entry)
                use.entry.mend("It is given more than once for this group; it is granted once.")


def _settle_group(affiliate: PlannedAffiliate) -> None:
    if affiliate.target is None:
        return
    if not affiliate.target.is_new:
        affiliate.entry.mark_present()
    elif not affiliate.target.users and not affiliate.target.uses:
        affiliate.entry.refuse(
            "Nobody and nothing of it can be taken, so that it is not made. Mend its entries, then run this again."
        )


def _finish_profile(planned: PlannedProfile) -> None:
    for affiliate in planned.affiliates:
        if affiliate.entry.is_refused:
            for entry in affiliate.entries():
                if not entry.is_refused:
                    entry.refuse("The group is refused, see there; with it this is.")
            continue
        if affiliate.target is not None:
            taken = [use for use in affiliate.uses if not use.entry.is_refused]
            commands = (copy_command(affiliate.old_name, affiliate.target.slug, use, planned.region) for use in taken)
            affiliate.copies = [command for command in dict.fromkeys(commands) if command]
    settle_profile(planned)


def settle_profile(planned: PlannedProfile) -> None:
    """Decide the fate of a profile from that of its entries."""
    entry, below = planned.profile.entry, planned.entries()[1:]
    if entry.is_refused or not below:
        return
    if all(below_entry.is_refused for below_entry in below):
        entry.refuse("Nothing of it can be taken; each entry says why.")
        return
    if all(below_entry.fate in (Fate.THERE, Fate.REFUSED) for below_entry in below):
        entry.mark_present()


def _query_in_chunks(wanted: Iterable[str], query: Callable[[list[str]], Iterable[str]]) -> set[str]:
    everything, matching = sorted(wanted), set[str]()
    for start in range(0, len(everything), ROWS_PER_QUERY):
        matching.update(query(everything[start : start + ROWS_PER_QUERY]))
    return matching
