"""What happens to groups and their people, one thing after another; `account_mails` says how a step is recorded."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.record.running import Site, browser, model, settings
from tests.record.stories import (
    ADMINISTRATOR,
    ANALYSIS,
    HOLDER,
    LAB,
    MANAGER,
    MEMBER,
    OTHER,
    SECOND,
    administrator,
    end_jobs,
    make_lab,
    person,
)

Step = Callable[[Site], None]
ASKER, ANOTHER = "asker@example.org", "another-asker@example.org"


def _make_people(site: Site) -> None:
    """A lab, people who ask, and a second administrator."""
    make_lab(site)
    administrator(SECOND)
    for email in (ASKER, ANOTHER):
        person(email)


def ask_to_join_by_a_code(site: Site) -> None:
    """Somebody asks to join by a code."""
    browser(ASKER).post("/requests/ask/", {"code": _code(site)})


def ask_for_a_new_group(site: Site) -> None:
    """Somebody asks for a group that there is not yet."""
    browser(ANOTHER).post("/requests/ask/", {"new_group": "Meitner Lab"})


def approve_a_request(site: Site) -> None:
    """A manager approves a request to join."""
    browser(MANAGER).post(f"/requests/{_request(ASKER)}/approve/", {"access": "federated"})


def decline_a_request(site: Site) -> None:
    """An administrator declines a request for a new group, and says why."""
    browser(ADMINISTRATOR).post(f"/requests/{_request(ANOTHER)}/decline/", {"note": "Please ask at your own institute."})


def give_access(site: Site) -> None:
    """AWS has what the approved request asked for."""
    site.deploy()


def end_access(site: Site) -> None:
    """A manager removes somebody, and AWS has it."""
    browser(MANAGER).post(f"/groups/{LAB}/members/{_membership(ASKER)}/remove/", {"typed": ASKER, "confirm": "1"})
    site.deploy()


def do_what_an_administrator_asked_for(site: Site) -> None:
    """Several changes of one administrator's are deployed."""
    browser(ADMINISTRATOR).post(f"/groups/{LAB}/keys-allowed/", {"allows": "1"})
    for email in (MEMBER, HOLDER):
        browser(ADMINISTRATOR).post(f"/groups/{LAB}/members/{_membership(email)}/suspend/", {"wish": "suspend"})
    site.deploy()


def do_one_thing_that_an_administrator_asked_for(site: Site) -> None:
    """One change of an administrator's is deployed."""
    browser(ADMINISTRATOR).post(f"/groups/{LAB}/members/{_membership(MEMBER)}/suspend/", {"wish": "resume"})
    site.deploy()


def fail_what_an_administrator_asked_for(site: Site) -> None:
    """A change of an administrator's fails."""
    browser(ADMINISTRATOR).post(f"/groups/{LAB}/members/{_membership(HOLDER)}/suspend/", {"wish": "resume"})
    site.fail()


def try_it_again(site: Site) -> None:
    """An administrator has it tried again, and it is done."""
    browser(ADMINISTRATOR).post(f"/deployments/{_newest()}/retry/")
    site.deploy()


def cancel_what_an_administrator_asked_for(site: Site) -> None:
    """A change of an administrator's is cancelled by the second one before it begins."""
    _give_a_key()
    browser(SECOND).post(f"/deployments/{_newest()}/cancel/")


def wait_for_approval(site: Site) -> None:
    """A change waits for a second administrator."""
    _settle(site)
    with settings(REQUIRE_APPROVAL="always"):
        _give_a_key()
        site.deploy()


def reject_what_waited_for_approval(site: Site) -> None:
    """The second administrator says no."""
    browser(SECOND).post(f"/deployments/{_newest()}/reject/", {"reason": "Not before Monday."})


def fail_what_nobody_on_the_web_asked_for(site: Site) -> None:
    """A change from the terminal fails: its administrators are told."""
    _settle(site)
    site.must("group create failing-lab --name 'Failing Lab'")
    site.fail()


def remind_of_an_end(site: Site) -> None:
    """Somebody's membership ends soon."""
    soon = timezone.now() + timedelta(days=5)
    model("groups.Membership").objects.filter(pk=_membership(MEMBER)).update(ends_at=soon)
    site.must("sweep")


def have_a_key_replaced(site: Site) -> None:
    """A manager has somebody's access key replaced, the old one working on."""
    browser(MANAGER).post(f"/groups/{LAB}/members/{_membership(HOLDER)}/key/rotate/", {"overlap": "7"})


def remind_of_an_old_key(site: Site) -> None:
    """An old access key stops working soon."""
    _settle(site)
    soon = timezone.now() + timedelta(hours=12)
    model("groups.Membership").objects.filter(pk=_membership(HOLDER)).update(previous_key_until=soon)
    site.must("sweep")


def have_a_key_replaced_at_once(site: Site) -> None:
    """An administrator has somebody's access key replaced, the old one ending at once."""
    site.must(f"member old-key {LAB} {HOLDER} remove")
    _settle(site)
    browser(ADMINISTRATOR).post(f"/groups/{LAB}/members/{_membership(HOLDER)}/key/rotate/", {"overlap": "0"})


def ask_for_an_analysis(site: Site) -> None:
    """A member asks that the group may use an analysis."""
    for slug in ("asked-one", "asked-two"):
        site.must(f"analysis create {slug} --bucket cohort-{slug}")
    _settle(site)
    for slug in ("asked-one", "asked-two"):
        browser(MEMBER).post(f"/analyses/{slug}/ask/", {"group": LAB, "reason": "For our recordings."})


def approve_an_analysis(site: Site) -> None:
    """An administrator approves it."""
    browser(ADMINISTRATOR).post(f"/analyses/requests/{_asked('asked-one')}/", {"decision": "approve", "level": "read-write"})


def decline_an_analysis(site: Site) -> None:
    """An administrator declines it, and says why."""
    given = {"decision": "decline", "level": "read-write", "note": "It is not ready."}
    browser(ADMINISTRATOR).post(f"/analyses/requests/{_asked('asked-two')}/", given)


def end_a_job_well(site: Site) -> None:
    """A job has ended well."""
    _submit(site)
    end_jobs("SUCCESS")
    site.must("sweep")


def end_a_job_badly(site: Site) -> None:
    """A job has failed."""
    _submit(site)
    end_jobs("FAILED")
    site.must("sweep")


def remind_of_a_review(site: Site) -> None:
    """A group's review is due."""
    long_ago = timezone.now() - timedelta(days=200)
    model("groups.Group").objects.update(created_at=long_ago)
    site.must("sweep")


def ask_for_a_retirement(site: Site) -> None:
    """An administrator asks for a group to be retired."""
    site.must(f"retire ask {LAB} --confirm {LAB}")


def undo_a_retirement(site: Site) -> None:
    """It is undone."""
    site.must(f"retire undo {LAB}")


def retire_with_a_request_waiting(site: Site) -> None:
    """A group is retired for which somebody's request waits."""
    browser(ASKER).post("/requests/ask/", {"code": _code(site, OTHER)})
    site.mails()
    site.must(f"retire ask {OTHER} --confirm {OTHER} --now")
    site.must("sweep")


def try_whether_e_mails_arrive(site: Site) -> None:
    """An operator tries whether e-mails and webhooks arrive."""
    site.must("notify test member@example.org")


STORY: tuple[Step, ...] = (
    _make_people,
    ask_to_join_by_a_code,
    ask_for_a_new_group,
    approve_a_request,
    decline_a_request,
    give_access,
    end_access,
    do_what_an_administrator_asked_for,
    do_one_thing_that_an_administrator_asked_for,
    fail_what_an_administrator_asked_for,
    try_it_again,
    cancel_what_an_administrator_asked_for,
    wait_for_approval,
    reject_what_waited_for_approval,
    fail_what_nobody_on_the_web_asked_for,
    remind_of_an_end,
    have_a_key_replaced,
    remind_of_an_old_key,
    have_a_key_replaced_at_once,
    ask_for_an_analysis,
    approve_an_analysis,
    decline_an_analysis,
    end_a_job_well,
    end_a_job_badly,
    remind_of_a_review,
    ask_for_a_retirement,
    undo_a_retirement,
    retire_with_a_request_waiting,
    try_whether_e_mails_arrive,
)


def _code(site: Site, slug: str = LAB) -> str:
    """A new join code, which only its maker is shown."""
    return str(json.loads(site.must(f"joincode create {slug} --json").out)["code"])


def _membership(email: str) -> Any:
    return model("groups.Membership").objects.get(user__email=email, removed_generation=None).pk


def _request(email: str) -> Any:
    return model("groups.JoinRequest").objects.get(user__email=email, state="waiting").pk


def _asked(slug: str) -> Any:
    return model("catalogue.AccessRequest").objects.get(analysis__slug=slug).pk


def _newest() -> Any:
    return model("deployments.Deployment").objects.latest("pk").pk


def _give_a_key() -> None:
    answer = browser(ADMINISTRATOR).post(f"/groups/{LAB}/members/{_membership(MANAGER)}/access/", {"access": "keys"})
    assert answer.status_code == 302, answer.content.decode()


def _settle(site: Site) -> None:
    """Deploy what waits; what is told of it is not of the step."""
    site.deploy()
    site.mails()


def _submit(site: Site) -> None:
    site.must(f"job submit {LAB} {ANALYSIS} inputs/a.csv --config configs/first.yaml --as {MANAGER}")
    site.mails()
