"""Suspension and removal: the seconds from the click, or the command, until AWS first says AccessDenied; and that it lasts."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.conformance import presence
from tests.conformance.asking import Watch, ends, steadily_allowed
from tests.conformance.step import Need, Steps
from tests.conformance.steps.keys import listing
from tests.conformance.tour import FEDERATED, GROUP, KEYS, KINDS, LEAVES_FEDERATED, LEAVES_KEYS, MANAGER, Tour

STEPS = Steps("Suspension and removal")
IAM_DECIDES: Need = "decisions of IAM"
LEAVING = {"key holder": LEAVES_KEYS, "federated member": LEAVES_FEDERATED}


def click(tour: Tour, action: str, email: str, **form: str) -> Callable[[], None]:
    """What the group's manager does on the member's page, ready to be done."""
    manager, number = tour.visitor(MANAGER), membership(tour, email)

    def press() -> None:
        answer = manager.ask("POST", f"/groups/{GROUP}/members/{number}/{action}/", form=form)
        assert answer.status == 302, answer.text[:300]

    return press


def command(tour: Tour, *arguments: str) -> Callable[[], Any]:
    """A command, ready to be run, without waiting for its deployment."""
    return lambda: tour.front.must(*arguments)


def measure(tour: Tour, do: Callable[[], Any], **clients: Any) -> str:
    """Do it while these members' programs ask S3 again and again; then see that the refusals last. Returns when they came."""
    calls = {name: listing(tour, client) for name, client in clients.items()}
    for call in calls.values():
        # What an earlier step took away, and gave back, may be seen late as well.
        steadily_allowed(call, tour.target.patience, steady=tour.target.steady)
    with ExitStack() as watching:
        watches = {name: watching.enter_context(Watch(call)) for name, call in calls.items()}
        for watch in watches.values():
            watch.click()
        do()
        for watch in watches.values():
            watch.wait(tour.target.patience + 60)
        tour.front.settle(tour.target.patience + 300)
        tour.let_iam_settle()
    for name, call in calls.items():
        ends(f"the {name} after the deployment", call, tour.target.patience, steady=1.0)
    return "; ".join(f"{name}: {watch.told()}" if len(watches) > 1 else watch.told() for name, watch in watches.items())


def membership(tour: Tour, email: str) -> int:
    """The member's number, from the manager's link to them on the group's page."""
    page = tour.visitor(MANAGER).ask("GET", f"/groups/{GROUP}/").text
    link = rf'/members/(\d+)/"[^>]*>[^<]*<span class="visually-hidden">[^<]*[ :]{re.escape(email)}<'
    found = re.search(link, page)
    assert found, f"the manager's page has no link to {email}"
    return int(found[1])


for _kind, _email in KINDS.items():

    def suspended(tour: Tour, email: str = _email) -> str:
        return measure(tour, click(tour, "suspend", email), member=tour.s3(email))

    def resumed(tour: Tour, email: str = _email) -> None:
        # Where the suspension is not measured it is asked for here.
        tour.front.manage("member", "suspend", GROUP, email)
        tour.front.must("member", "resume", GROUP, email, "--wait")
        if email == FEDERATED:
            tour.forget(email)
        tour.allowed(listing(tour, tour.s3(email)))

    def removed(tour: Tour, email: str = LEAVING[_kind]) -> str:
        return measure(tour, click(tour, "remove", email), member=tour.s3(email))

    STEPS.add(f"suspended, {_kind}", f"A {_kind} whom the manager suspends on the page is shut out", suspended, IAM_DECIDES)
    STEPS.add(f"resumed, {_kind}", f"Resumed, the {_kind} gets in again", resumed)
    STEPS.add(f"removed, {_kind}", f"A {_kind} whom the manager removes on the page is shut out", removed, IAM_DECIDES)


@STEPS.step("A key holder who is suspended by the command is shut out", IAM_DECIDES)
def by_command(tour: Tour) -> str:
    return measure(tour, command(tour, "member", "suspend", GROUP, KEYS), member=tour.s3(KEYS))


@STEPS.step("The site says 403 to a suspended member, and the command hands out nothing")
def site_refuses(tour: Tour) -> None:
    tour.front.manage("member", "suspend", GROUP, KEYS)
    done = tour.front.manage("member", "credentials", GROUP, KEYS)
    assert done.status == 2, done.out
    assert "suspended" in done.err
    tour.front.must("member", "resume", GROUP, KEYS, "--wait")
    tour.allowed(listing(tour, tour.s3(KEYS)))


@STEPS.step("A whole group that is suspended is shut out: key holders and running sessions", IAM_DECIDES)
def group(tour: Tour) -> str:
    clients = {"key": tour.s3(KEYS), "session": tour.client("s3", FEDERATED)}
    return measure(tour, command(tour, "group", "suspend", GROUP), **clients)


@STEPS.step("Resumed, the group gets in again")
def group_resumed(tour: Tour) -> None:
    tour.front.manage("group", "suspend", GROUP)
    tour.front.must("group", "resume", GROUP, "--wait")
    for email in KINDS.values():
        tour.forget(email)
        tour.allowed(listing(tour, tour.s3(email)))


@STEPS.step("Of whoever was removed nothing is left: no user, no key, no secret")
def nothing_left(tour: Tour) -> None:
    for email in LEAVING.values():
        tour.front.manage("member", "remove", GROUP, email)
    tour.settle()
    username = tour.kept[f"username {LEAVES_KEYS}"]
    tour.seen("nothing of theirs", lambda: not any(username in item for item in presence.left_of_group(tour.target, GROUP)))
