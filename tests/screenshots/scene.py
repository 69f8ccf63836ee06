"""The people, groups and files in the pictures: made by the services that pages and commands call, in one process of the site.

Run inside the site's own Django: `manage.py shell -c "from tests.screenshots.scene import make; make()"`.
"""

import json

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from control_plane.access.groups.models import Access, Analysis, Grant, Group
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.groups import create_group, set_allows_keys
from control_plane.access.groups.services.join_codes import make_join_code, withdraw_join_code
from control_plane.access.groups.services.joining import ask_to_join, decline
from control_plane.access.groups.services.members import add_members, find_or_create_user
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.screenshots.cast import CLASHING, GROUP, PASSWORD, PEOPLE, SCANS, SHARED


def make() -> None:
    """Make everything, and print each person's session and a join code as JSON."""
    actor = Actor.at_terminal()
    people = {name: _person(name, full_name, actor) for name, full_name in PEOPLE.items()}
    group = _group(people, actor)
    code = _requests(group, people)
    # Its role's name is taken on AWS, so its deployment fails.
    clashing, _ = create_group(slug=CLASHING, name="Carson Lab", actor=actor)
    add_members(group=clashing, users=[people["rachel"]], access=Access.FEDERATED, actor=actor)
    sessions = {name: _session(person) for name, person in people.items()}
    print(f"made={json.dumps({'sessions': sessions, 'code': code})}")


def _person(name: str, full_name: str, actor: Actor) -> User:
    user = find_or_create_user(f"{name}@example.org", actor=actor)
    user.name = full_name
    user.set_password(PASSWORD)
    user.save()
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return user


def _group(people: dict[str, User], actor: Actor) -> Group:
    group, _ = create_group(slug=GROUP, name="Anning Lab", actor=actor)
    set_allows_keys(group=group, allows=True, actor=actor)
    for slug, name, level in (
        (SCANS, "Fossil scans", Grant.Level.READ_WRITE),
        ("bone-counts", "Bone counts", Grant.Level.READ_WRITE),
        (SHARED, "Museum collection", Grant.Level.READ_ONLY),
    ):
        analysis = _analysis(slug, name, actor)
        grant_analysis(analysis=analysis, group=group, level=level, actor=actor)
    add_members(group=group, users=[people["mary"]], access=Access.FEDERATED, actor=actor, as_managers=True)
    add_members(group=group, users=[people["henry"], people["elizabeth"]], access=Access.FEDERATED, actor=actor)
    add_members(group=group, users=[people["charlotte"]], access=Access.KEYS, actor=actor)
    return group


def _analysis(slug: str, name: str, actor: Actor) -> Analysis:
    analysis, _ = create_analysis(slug=slug, bucket=f"cohort-{slug}", name=name, actor=actor)
    return analysis


def _requests(group: Group, people: dict[str, User]) -> str:
    """Somebody waits, somebody was declined, somebody wants a new group; and a code that works and one that is withdrawn."""
    actor = _as(people["mary"])
    _, code = make_join_code(group=group, actor=actor, days=30, most_uses=10)
    withdrawn, _ = make_join_code(group=group, actor=actor, days=7)
    withdraw_join_code(code=withdrawn, actor=actor)
    for name in ("william", "gideon"):
        asked = ask_to_join(user=people[name], actor=_as(people[name]), code=code)
    decline(asked, actor=actor, note="Please ask again from your university’s address.")
    ask_to_join(user=people["louise"], actor=_as(people["louise"]), new_group_name="Footprints of the Rift")
    return code


def _as(user: User) -> Actor:
    return Actor(label=user.email, channel="web", user=user)


def _session(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
