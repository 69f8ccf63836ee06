"""E-mail addresses of members, by the user names that a manifest and AWS know them by."""

from collections.abc import Collection

from control_plane.accounts.models import User


def addresses_of(usernames: Collection[str]) -> dict[str, str]:
    """Return the addresses by user name, without those who are not known. One query, none for nobody."""
    if not usernames:
        return {}
    # By the relation that memberships give to people: groups lie above, and are not imported.
    members = User.objects.filter(memberships__username__in=usernames).order_by()
    return dict(members.values_list("memberships__username", "email"))
