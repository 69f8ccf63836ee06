"""What `tests.e2e.two_labs` has the site make, by the site's own services: run by `manage.py shell` in its settings."""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from django.core import signing
from django.db.models import Count
from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Grant, Group, JoinRequest
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.join_codes import make_join_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.access.groups.services.members import add_member, set_manager
from control_plane.access.review.models import UnmanagedResource
from control_plane.accounts.models import User, trust_address
from control_plane.accounts.services.addresses import make_link_token
from control_plane.accounts.services.computers import computers, sign_in
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Preview
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.research.catalogue.requests import request_analysis
from control_plane.research.jobs.models import Job
from web.jobs.sharing import SALT

OPERATOR = Actor.at_terminal()
ADMINISTRATOR, MANAGER, FEDERATED, KEYS, FORMER = ROLES = ("administrator", "manager", "federated", "keys", "former")
ASKER = "asker"


def email(role: str, slug: str) -> str:
    """Where a person of a group is written to."""
    return f"{role}@{slug}.example.org"


def make(slugs: list[str], shared: str, password: str) -> None:
    """Two groups with an analysis each and one that both have; one person of each role in each."""
    common, _ = create_analysis(slug=shared, bucket=f"cohort-e2e-{shared}", name="What both have", actor=OPERATOR)
    for slug in slugs:
        own, _ = create_analysis(slug=f"{slug}-own", bucket=f"cohort-e2e-{slug}", name=f"What {slug} alone has", actor=OPERATOR)
        group, _ = create_group(slug=slug, name=slug.replace("-", " ").title(), actor=OPERATOR)
        for analysis in (common, own):
            grant_analysis(group=group, analysis=analysis, level=Grant.Level.READ_WRITE, actor=OPERATOR)
        for role in ROLES:
            user = _person(email(role, slug), password, is_administrator=role == ADMINISTRATOR)
            access = Access.KEYS if role == KEYS else Access.FEDERATED
            add_member(group=group, user=user, access=access, actor=OPERATOR)
        set_manager(group=group, user=User.objects.get(email=email(MANAGER, slug)), is_manager=True, actor=OPERATOR)


def name_things(slugs: list[str]) -> None:
    """Make one of everything that a group has on the site, and print what each is called there."""
    print(json.dumps({slug: _things(Group.objects.select_related("stack").get(slug=slug)) for slug in slugs}))


def _things(group: Group) -> dict[str, Any]:
    code, text = make_join_code(group=group, actor=OPERATOR)
    asker = _person(email(ASKER, group.slug), None)
    asked = ask_to_join(user=asker, actor=OPERATOR, code=text)
    assert asked.state == JoinRequest.State.WAITING
    people = {role: User.objects.get(email=email(role, group.slug)) for role in ROLES}
    tokens = {person.email: sign_in(person, name="laptop", address=None) for person in people.values()}
    holder = group.memberships.get(user=people[KEYS])
    passkey = Authenticator.objects.create(user=asker, type=Authenticator.Type.WEBAUTHN, data={"name": "key ring"})
    preview = Preview.objects.create(asked_by=people[ADMINISTRATOR], stack_name=group.stack.name, title="A preview", manifest="{}")
    notice = _given_up(people[MANAGER])
    # What only the other group has.
    wanted = Analysis.objects.exclude(grants__group=group).earliest("pk")
    asking = Actor(label=people[FEDERATED].email, channel="terminal", user=people[FEDERATED])
    request = request_analysis(group=group, analysis=wanted, reason="", actor=asking)
    job = _job(group, people[FEDERATED])
    deployment = group.stack.deployments.order_by("-pk").first()
    assert deployment is not None
    return {
        "slug": group.slug,
        "name": group.name,
        "analysis": f"{group.slug}-own",
        "bucket": Analysis.objects.get(slug=f"{group.slug}-own").bucket,
        "group": group.pk,
        "stack": group.stack_id,
        "stack_name": group.stack.name,
        "deployment": deployment.pk,
        "membership": holder.pk,
        "username": holder.username,
        "person": holder.user_id,
        "code": code.pk,
        "request": asked.pk,
        "asked": request.pk,
        "job": job.timestamp,
        "job_link": signing.dumps({"job": job.pk, "path": ""}, salt=SALT, compress=True),
        "decision": asked.decision_path(),
        "passkey": passkey.pk,
        "preview": preview.pk,
        "notice": notice.pk,
        "unmanaged": UnmanagedResource.objects.create(kind="secret", name=f"cohort/{group.slug}/nobody").pk,
        "computer": computers(people[KEYS])[0].id,
        "address_link": make_link_token(asker, f"new-{asker.email}"),
        "tokens": {address: token["access_token"] for address, token in tokens.items()},
    }


def _given_up(person: User) -> Notice:
    """A message to this person that nobody took, and that nobody tries by itself any more."""
    now = timezone.now()
    email = {"event": Notice.Event.ACCOUNT, "channel": Notice.Channel.EMAIL, "recipient": person.email, "sealed": "sealed"}
    return Notice.objects.create(**email, attempts=MAX_TRIES, begun_at=now, failed_at=now, last_error="It did not answer.")


def _job(group: Group, user: User) -> Job:
    """One that has ended, in the bucket that both groups have, at a second of its own."""
    shared = Analysis.objects.annotate(count=Count("grants")).filter(grants__group=group).latest("count")
    return Job.objects.create(
        group=group,
        analysis=shared,
        submitted_by=user,
        timestamp=1_700_000_000 + group.pk,
        token=group.slug,
        submission_key=f"{group.slug}/submissions/submit.json",
        inputs=[f"{group.slug}/inputs/secret.txt"],
        config_key=f"{group.slug}/configs/secret.yaml",
        state=Job.State.FAILED,
        failed_count=1,
        written_at=timezone.now(),
        ended_at=timezone.now(),
    )


def _person(address: str, password: str | None, *, is_administrator: bool = False) -> User:
    user = User.objects.create_user(address, password)
    user.is_staff = user.is_superuser = is_administrator
    user.save()
    trust_address(user)
    return user
