"""The lockout that is active on AWS ahead of a deployment: the people shut out already, in words for pages and commands."""

from django.utils import timezone

from control_plane.deployments.member_addresses import addresses_of
from control_plane.deployments.models import Stack, StoredManifest
from stacks.manifest import GroupManifest

# Members that a sentence names; the others are only counted.
MAX_NAMED_MEMBERS = 5
UNCHANGED = "Nothing was changed on AWS."


def describe_unchanged(stack: Stack) -> str:
    """Describe the active lockout, and say that nothing else was changed on AWS. At most three queries."""
    lockout = describe_active_lockout(stack)
    return f"{lockout} Nothing else was changed on AWS." if lockout else UNCHANGED


def describe_active_lockout(stack: Stack) -> str:
    """Describe the members whom the lockout has shut out, or is about to, ahead of the deployment.

    Empty if there are none. At most three queries.
    """
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
    for find, effect in ((_shut_out, "everything is denied to {}"), (_without_key, "the access key of {} no longer works")):
        usernames = find(held, wanted)
        done = usernames & find(held, acted) if acted else set[str]()
        if done:
            words.append(f"Already active{since}, ahead of the deployment: {effect.format(_names(wanted, done))}.")
        if usernames - done:
            words.append(f"Active within seconds, ahead of the deployment: {effect.format(_names(wanted, usernames - done))}.")
    return " ".join(words)


def _shut_out(held: GroupManifest, later: GroupManifest) -> set[str]:
    """Return the usernames that the later manifest shuts out and the held one does not.

    An empty username stands for the whole group.
    """
    if later.suspended and not held.suspended:
        return {""}
    # Members whom AWS does not hold yet have no access to lose.
    members = {member.username for member in held.members}
    left = members - {member.username for member in later.members}
    return (members.intersection(later.shut_out) | left) - set(held.shut_out)


def _without_key(held: GroupManifest, later: GroupManifest) -> set[str]:
    """Return the usernames that lose their access key and stay members, with short-lived credentials."""
    holders = {member.username for member in held.members if member.access == "keys"}
    return holders & {member.username for member in later.members if member.access != "keys"}


def _names(wanted: GroupManifest, usernames: set[str]) -> str:
    if "" in usernames:
        return f"everybody in {wanted.slug}"
    named = ", ".join(sorted(addresses_of(usernames).values())[:MAX_NAMED_MEMBERS])
    return f"{named} and {len(usernames) - MAX_NAMED_MEMBERS} more" if len(usernames) > MAX_NAMED_MEMBERS else named
