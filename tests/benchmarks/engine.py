"""How fast a change reaches AWS, against the plain `cdk deploy` and against CloudFormation's own calls. `make bench` runs it."""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stacks.environment import isolate_this_process
from tests.benchmarks.report import Row, above, faster, show, write
from tests.e2e.site import ROOT, Site, children_of

ROUNDS = 7
PLAIN_ROUNDS = 5
MANY = 100
CROWD = 2000
HOW = (
    "The whole site on the embedded AWS (IAM enforced) of one machine: web server, worker, database (SQLite) and AWS share its "
    "cores. Medians of at least five. A change is a federated member added to a group that is deployed; it is timed from the "
    "commit of the change until the database says that CloudFormation holds it."
)


def main(var: Path) -> None:
    """Start a site, measure everything, print and write the table."""
    site = Site(var, DEMO="0")
    print("Starting a site ...", flush=True)
    site.start()
    try:
        _use(site)
        rows = list(_measures(site))
    finally:
        site.stop()
    show(rows, "From a change to AWS")
    write(rows, "From a change to AWS", HOW)


def _use(site: Site) -> None:
    """Point this process's Django at the site's database and AWS."""
    isolate_this_process(site.env_file | {"VAR_DIR": str(site.var), "DJANGO_SETTINGS_MODULE": "control_plane.settings"})
    import django

    django.setup()


def _measures(site: Site) -> Iterator[Row]:
    from control_plane.access.groups.services.groups import create_group

    group, _ = create_group(slug="bench-engine", actor=_actor())
    _settle()
    few = _median("one change, few groups", lambda: _one_change(group))
    plain = _median("plain `cdk deploy`", _plain_changes(site), PLAIN_ROUNDS)
    floor = _median("change-set calls alone", _floor_changes(site))
    yield faster("One member added", few, plain, "plain `cdk deploy`", 10)
    yield above("One member added", few, floor, "boto3's change-set calls", 0.4)
    together = statistics.median(_changes_at_once(site) for _ in _progress("100 groups at once", 3))
    note = (
        f"The peer is the median of {PLAIN_ROUNDS} plain runs times {MANY}. The embedded AWS, one process that all groups share, "
        "decides on every right of every change: its part of a change rose from 16 to 25 ms with that."
    )
    yield faster(f"{MANY} groups changed at once", together, plain * MANY, f"{MANY} plain runs one after another", 50, note)
    yield Row("per group, of these", round(together / MANY * 1000, 1), "ms")
    yield _burst(group)
    yield from _memory(site)
    yield _in_a_crowd(group)


def _in_a_crowd(group: Any) -> Row:
    """One change with few and with many groups in the database, in turns, so that what else the machine does meets both."""
    few, crowded = list[float](), list[float]()
    for _ in range(2):
        # The first change after a pause, or after so many rows came or went, finds everything cold: it is not counted.
        _one_change(group)
        few += [_one_change(group) for _ in _progress("one change, few groups", ROUNDS)]
        _crowd()
        _one_change(group)
        crowded += [_one_change(group) for _ in _progress(f"one change, {CROWD} groups more", ROUNDS)]
        _disperse()
    value, peer = statistics.median(crowded), statistics.median(few)
    return Row(
        f"One member added, with {CROWD} more groups in the database",
        round(value, 3),
        "s",
        round(peer, 3),
        f"with {MANY + 1}",
        round(value / peer, 2),
        "within 10 % of each other",
        0.9 <= value / peer <= 1.1,
        f"medians of {2 * ROUNDS}, measured in turns",
    )


def _one_change(group: Any) -> float:
    """Seconds from the commit of one change to its record. Waits first, so that the run before does not delay this one."""
    from control_plane.access.groups.models import Access
    from control_plane.access.groups.services.members import add_by_email
    from control_plane.base.config import config

    time.sleep(config().cohort_settle_seconds + 0.2)
    email = f"{uuid.uuid4().hex[:12]}@example.org"
    _, deployment = add_by_email(group=group, email=email, access=Access.FEDERATED, actor=_actor())
    began = time.monotonic()
    _wait(lambda: not _is_open(deployment.pk))
    return time.monotonic() - began


def _changes_at_once(site: Site) -> float:
    """Seconds from the commit of one change to each of many groups until all are deployed."""
    from django.db import transaction

    from control_plane.access.groups.models import Access, Group
    from control_plane.access.groups.services.groups import create_group
    from control_plane.access.groups.services.members import add_by_email

    for number in range(MANY):
        slug = f"bench-many-{number}"
        if not Group.objects.filter(slug=slug).exists():
            create_group(slug=slug, actor=_actor())
    _settle()
    time.sleep(1.5)
    groups = list(Group.objects.select_related("stack").filter(slug__startswith="bench-many-"))
    with transaction.atomic():
        for group in groups:
            add_by_email(group=group, email=f"{uuid.uuid4().hex[:12]}@example.org", access=Access.FEDERATED, actor=_actor())
    began = time.monotonic()
    _settle()
    return time.monotonic() - began


def _burst(group: Any) -> Row:
    """Ten changes to one group within a second."""
    from control_plane.access.groups.models import Access
    from control_plane.access.groups.services.members import add_by_email
    from control_plane.deployments.models import Deployment

    counts = []
    for _ in _progress("ten changes within a second", 5):
        time.sleep(1.5)
        before = Deployment.objects.filter(stack=group.stack).count()
        began = time.monotonic()
        for number in range(10):
            time.sleep(max(0.0, began + number * 0.09 - time.monotonic()))
            add_by_email(group=group, email=f"{uuid.uuid4().hex[:12]}@example.org", access=Access.FEDERATED, actor=_actor())
        _settle()
        counts.append(Deployment.objects.filter(stack=group.stack).count() - before)
    return Row(
        "Deployments for 10 changes to one group within a second",
        max(counts),
        "deployments",
        target="at most 2",
        met=max(counts) <= 2,
    )


def _plain_changes(site: Site) -> Callable[[], float]:
    """The same change by hand: the manifest is published, and `cdk deploy` runs. The group is not in the database."""
    from stacks.manifest import GroupManifest, Member
    from stacks.store import open_store

    store = open_store(str(site.var / "manifests"))
    members: list[Member] = []

    def publish() -> None:
        members.append(Member(username=_username(len(members)), access="federated"))
        manifest = GroupManifest.build(
            generation=len(members), account="111122223333", region="us-east-1", slug="bench-plain", members=tuple(members)
        )
        store.write(manifest.store_key, manifest.to_json())

    def change() -> float:
        publish()
        began = time.monotonic()
        done = site.cdk(
            *("deploy", "--exclusively", "Group-bench-plain", "-c", "group=bench-plain", "--require-approval", "never"),
            *("--progress", "events"),
        )
        assert done.status == 0, done.err
        return time.monotonic() - began

    change()
    return change


def _floor_changes(site: Site) -> Callable[[], float]:
    """The same change by CloudFormation's own calls, with a template that is there already."""
    from stacks.manifest import GroupManifest, Member

    cloudformation, serial = site.root("cloudformation"), 0
    synthesiser = subprocess.Popen(
        [sys.executable, "-m", "stacks.group.synthesiser"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert synthesiser.stdin
    assert synthesiser.stdout
    synthesiser.stdout.readline()

    def template() -> str:
        members = tuple(Member(username=_username(number), access="federated") for number in range(serial))
        manifest = GroupManifest.build(
            generation=serial, account="111122223333", region="us-east-1", slug="bench-floor", members=members
        )
        folder = Path(tempfile.mkdtemp(dir=site.var)) / "assembly"
        request = {"id": serial, "output": str(folder), "manifests": {manifest.stack_name: manifest.to_json()}}
        synthesiser.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
        synthesiser.stdin.flush()  # type: ignore[union-attr]
        synthesiser.stdout.readline()  # type: ignore[union-attr]
        return (folder / "Group-bench-floor.template.json").read_text()

    def change() -> float:
        nonlocal serial
        serial += 1
        body, names = template(), {"StackName": "Group-bench-floor", "ChangeSetName": f"change-{serial}"}
        began = time.monotonic()
        kind = "CREATE" if serial == 1 else "UPDATE"
        cloudformation.create_change_set(**names, TemplateBody=body, ChangeSetType=kind, Capabilities=["CAPABILITY_NAMED_IAM"])
        while cloudformation.describe_change_set(**names)["Status"] not in ("CREATE_COMPLETE", "FAILED"):
            time.sleep(0.01)
        cloudformation.execute_change_set(**names)
        while "IN_PROGRESS" in cloudformation.describe_stacks(StackName=names["StackName"])["Stacks"][0]["StackStatus"]:
            time.sleep(0.01)
        return time.monotonic() - began

    change()
    return change


def _crowd() -> None:
    """So many groups more in the database, each deployed once, as far as the database knows."""
    from control_plane.access.groups.models import Group
    from control_plane.deployments.models import Deployment, Stack, StoredManifest

    place = {"account": "111122223333", "region": "us-east-1", "kind": "group", "generation": 1, "deployed_generation": 1}
    stacks = Stack.objects.bulk_create(
        Stack(name=f"Group-crowd-{number}", title=f"Crowd {number}", **place) for number in range(CROWD)
    )
    Group.objects.bulk_create(
        Group(slug=f"crowd-{number}", name=f"Crowd {number}", folded_name=f"crowd {number}", stack=stack)
        for number, stack in enumerate(stacks)
    )
    StoredManifest.objects.bulk_create(StoredManifest(stack=stack, generation=1, text="{}") for stack in stacks)
    Deployment.objects.bulk_create(Deployment(stack=stack, generation=1, state="succeeded", percent=100) for stack in stacks)


def _disperse() -> None:
    """Take them out again."""
    from control_plane.access.groups.models import Group
    from control_plane.deployments.models import Deployment, Stack, StoredManifest

    crowd = Stack.objects.filter(name__startswith="Group-crowd-")
    for rows in (Deployment, StoredManifest, Group):
        rows.objects.filter(stack__in=crowd).delete()
    crowd.delete()


def _memory(site: Site) -> Iterator[Row]:
    """What the processes of the worker take, resident, after all of the above."""
    assert site.pid is not None
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in children_of(site.pid)}
    for name, pattern in (
        ("Memory of the worker", r"manage\.py worker"),
        ("Memory of the synthesiser, with jsii's own process", r"stacks\.synthesiser|jsii-runtime"),
        ("Memory of the resident deployer", r"resident_deployer"),
    ):
        pids = [pid for pid, command in commands.items() if re.search(pattern, command)]
        yield Row(name, round(sum(_resident(pid) for pid in pids)), "MB")


def _resident(pid: int) -> float:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


def _median(what: str, measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    return statistics.median(measure() for _ in _progress(what, rounds))


def _progress(what: str, rounds: int) -> Iterator[int]:
    for number in range(rounds):
        print(f"\r{what}: {number + 1} of {rounds}   ", end="", flush=True)
        yield number
    print(flush=True)


def _actor() -> Any:
    from control_plane.base.audit.actors import Actor

    return Actor.system("bench")


def _is_open(pk: int) -> bool:
    from control_plane.deployments.models import Deployment

    state = Deployment.objects.values_list("state", flat=True).get(pk=pk)
    assert state in (*Deployment.OPEN, "succeeded"), f"deployment {pk} is {state}"
    return state in Deployment.OPEN


def _settle() -> None:
    from control_plane.deployments.models import Deployment

    # Seldom: who looks all the time takes the cores from what is measured.
    _wait(lambda: not Deployment.objects.open().exists(), every=0.05)
    failed = Deployment.objects.filter(state="failed").first()
    assert failed is None, failed and failed.error


def _wait(done: Callable[[], bool], seconds: float = 300, every: float = 0.005) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "nothing moves any more"
        time.sleep(every)


def _username(number: int) -> str:
    return "m" + "".join("abcdefghij"[int(digit)] for digit in f"{number:011d}")
