"""What is in force on AWS ahead of a deployment: whom the lockout has shut out already, in words for pages and commands."""

from django.utils import timezone

from control_plane.deployments.member_addresses import addresses_of
from control_plane.deployments.models import Stack, StoredManifest
from stacks.manifest import GroupManifest

# What a sentence names; the rest is told as a number.
MAX_NAMED = 5
UNCHANGED = "Nothing was changed on AWS."


def unchanged_but(stack: Stack) -> str:
    """Say what is in force though no deployment brought it, and that nothing else was changed on AWS. At most three queries."""
    told = in_force(stack)
    return f"{told} Nothing else was changed on AWS." if told else UNCHANGED


def in_force(stack: Stack) -> str:
    """Say whom the lockout has shut out, or is about to, ahead of the deployment; empty where nobody. At most three queries."""
    held, wanted = (
        StoredManifest.objects.group_at(stack, stack.deployed_generation),
        StoredManifest.objects.group_at(stack, stack.generation),
    )
    if stack.is_up_to_date or held is None or wanted is None:
        return ""
    has_acted = stack.denied_generation > stack.deployed_generation and stack.denied_at is not None
    acted = StoredManifest.objects.group_at(stack, stack.denied_generation) if has_acted else None
    since = f" since {timezone.localtime(stack.denied_at):%H:%M:%S} UTC" if stack.denied_at else ""
    words = []
    for find, what in ((_shut_out, "everything is denied to {}"), (_without_key, "the access key no longer works of {}")):
        who = find(held, wanted)
        done = who & find(held, acted) if acted else set[str]()
        if done:
            words.append(f"In force already{since}, ahead of the deployment: {what.format(_names(wanted, done))}.")
        if who - done:
            words.append(f"In force within seconds, ahead of the deployment: {what.format(_names(wanted, who - done))}.")
    return " ".join(words)


def _shut_out(held: GroupManifest, later: GroupManifest) -> set[str]:
    """Whom the later manifest shuts out and the one that AWS holds does not; an empty name stands for the whole group."""
    if later.suspended and not held.suspended:
        return {""}
    # Who was never let in has nothing to lose.
    members = {one.username for one in held.members}
    left = members - {one.username for one in later.members}
    return (members.intersection(later.shut_out) | left) - set(held.shut_out)


def _without_key(held: GroupManifest, later: GroupManifest) -> set[str]:
    """Whose key is to work no more, though they are members still: they get in by short-lived credentials."""
    holders = {one.username for one in held.members if one.access == "keys"}
    return holders & {one.username for one in later.members if one.access != "keys"}


def _names(wanted: GroupManifest, who: set[str]) -> str:
    if "" in who:
        return f"everybody in {wanted.slug}"
    named = ", ".join(sorted(addresses_of(who).values())[:MAX_NAMED])
    return f"{named} and {len(who) - MAX_NAMED} more" if len(who) > MAX_NAMED else named
