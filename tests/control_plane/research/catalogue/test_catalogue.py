"""What the catalogue says of analyses, who asks for them, and granting several: the services and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from control_plane.access.groups.errors import AlreadyAsked, AlreadyGranted, NotOpen
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.analyses import RESERVED_SLUGS, create_analysis, grant_analyses
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.audit.refusals import NotYours
from control_plane.base.errors import InvalidName, Refused
from control_plane.deployments.models import Deployment
from control_plane.notifications.delivery import deliver
from control_plane.notifications.models import Notice
from control_plane.research.catalogue.entries import InvalidEntry, describe, entry_of
from control_plane.research.catalogue.grants import grant_many, plan_grants, select_analyses
from control_plane.research.catalogue.models import AccessRequest, Entry
from control_plane.research.catalogue.requests import approve, decline, request_analysis, withdraw
from tests.actors import OPERATOR, actor_of
from tests.factories import AnalysisFactory, GrantFactory, GroupFactory, MembershipFactory, settle
from web.catalogue.rendering import to_html

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

READ_WRITE = Grant.Level.READ_WRITE
WAITING, APPROVED = AccessRequest.State.WAITING, AccessRequest.State.APPROVED
SCHEMA = '{"type": "object", "properties": {"window": {"type": "integer"}}, "additionalProperties": false}'


@pytest.fixture
def other(db: None) -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


@pytest.fixture
def request_(group: Group, epi: Analysis, ada: User) -> AccessRequest:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    return request_analysis(group=group, analysis=epi, reason="a  paper", actor=actor_of(ada))


def test_describing_keeps_what_is_not_mentioned_and_is_on_record(epi: Analysis, administrator: User) -> None:
    describe(analysis=epi, actor=actor_of(administrator), summary="Traces", template="  window: 5\r\n  name: x")
    describe(analysis=epi, actor=actor_of(administrator), paper_url="https://example.org/paper")
    entry = entry_of(epi)
    assert (entry.summary, entry.template) == ("Traces", "  window: 5\n  name: x\n")
    events = AuditEvent.objects.filter(action="analysis.describe").order_by("pk")
    assert [event.details["fields"] for event in events] == [["summary", "template"], ["paper_url"]]
    assert "window" not in json.dumps([event.details for event in events])


def test_only_administrators_describe_grant_and_decide(request_: AccessRequest, group: Group, epi: Analysis, ada: User) -> None:
    actor = actor_of(ada)
    for deed in (
        lambda: describe(analysis=epi, actor=actor, summary="Mine"),
        lambda: grant_many(analyses=[epi], groups=[group], level=READ_WRITE, actor=actor),
        lambda: approve(request_, level=READ_WRITE, actor=actor),
        lambda: decline(request_, note="", actor=actor),
    ):
        with pytest.raises(PermissionDenied):
            deed()
    assert not Entry.objects.exists()
    assert not Grant.objects.exists()
    request_.refresh_from_db()
    assert request_.state == WAITING


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"paper_url": "http://example.org"}, "paper_url", "https"),
        ({"source_url": "javascript:alert(1)"}, "source_url", "https"),
        ({"demo_url": "https://"}, "demo_url", "https"),
        ({"template": "a: 1\nb: [2"}, "template", "Line 2"),
        ({"template": "a: 1\na: 2\n"}, "template", "Line 2"),
        ({"template": "- a\n- b\n"}, "template", "a list"),
        ({"template": "a: !!python/object:os.system x\n"}, "template", "Line 1"),
        ({"template": "a: &x [1]\nb: *y\n"}, "template", "Line 2"),
        ({"schema": '{\n"type": oops}'}, "schema", "Line 2"),
        ({"schema": "[]"}, "schema", "object"),
        ({"schema": '{"properties": {"a": {"type": "nothing"}}}'}, "schema", "properties.a.type"),
        ({"schema": SCHEMA, "template": "# how long\nwindow: long\n"}, "template", "Line 2, field window"),
        ({"summary": "x" * 201}, "summary", "200"),
    ],
)
def test_what_cannot_be_taken_is_named_and_changes_nothing(epi: Analysis, fields: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(InvalidEntry) as refused:
        describe(analysis=epi, actor=OPERATOR, **fields)
    assert refused.value.field == field
    assert words in str(refused.value)
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<iframe src="https://evil.example"></iframe>',
        "<style>body{display:none}</style>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](http://example.org)",
        "![x](javascript:alert(1))",
        "![x](https://evil.example/pixel.png)",
        '[x](https://example.org "a\\" onmouseover=\\"alert(1)")',
        "<https://example.org/\"onclick='x'>",
        "`<script>`",
        "| <svg onload=alert(1)> |\n|---|\n| b |",
    ],
)
def test_nothing_in_a_description_runs_or_loads(markdown: str) -> None:
    html = to_html(markdown).lower()
    for danger in (
        "<script",
        "<img",
        "<iframe",
        "<style",
        "<svg",
        'href="javascript',
        'href="data',
        'href="vbscript',
        'href="http:',
    ):
        assert danger not in html
    # What looks like a handler is text, never an attribute: outside quotes and tags.
    assert not any(f" {name}=" in tag for tag in _tags(html) for name in ("onerror", "onload", "onclick", "onmouseover", "style"))


def _tags(html: str) -> list[str]:
    """The insides of tags, without the values in quotes."""
    return ["".join(part.split('"')[::2]) for part in (piece.split(">")[0] for piece in html.split("<")[1:])]


def test_a_description_is_shown_as_written() -> None:
    html = to_html(
        "# One\n\n###### Six\n\n**bold** [x](https://example.org)\n\n| a |\n|---|\n| b |\n\n![plot](https://example.org/p.png)"
    )
    assert "<h3>One</h3>" in html
    assert "<h6>Six</h6>" in html
    assert "<strong>bold</strong>" in html
    assert "<td>b</td>" in html
    assert '<a href="https://example.org" rel="noopener nofollow">x</a>' in html
    assert '<a href="https://example.org/p.png" rel="noopener nofollow">plot</a>' in html


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_no_analysis_takes_the_address_of_a_page(slug: str) -> None:
    with pytest.raises(InvalidName, match="Nothing was changed"):
        create_analysis(slug=slug, bucket="cohort-any", actor=OPERATOR)
    assert not Analysis.objects.exists()


def test_a_member_asks_and_administrators_are_told(administrator: User, request_: AccessRequest) -> None:
    assert (request_.state, request_.reason) == (WAITING, "a paper")
    told = delivered("asks to use")
    assert told.to == [administrator.email]
    assert "/analyses/requests/" in told.body
    assert AuditEvent.objects.filter(action="analysis.ask").count() == 1


def test_nobody_asks_for_a_group_that_is_not_theirs(group: Group, epi: Analysis, grace: User) -> None:
    with pytest.raises(NotYours):
        request_analysis(group=group, analysis=epi, reason="", actor=actor_of(grace))
    assert not AccessRequest.objects.exists()


def test_asking_twice_or_for_what_is_there_is_refused(request_: AccessRequest, ada: User) -> None:
    with pytest.raises(AlreadyAsked):
        request_analysis(group=request_.group, analysis=request_.analysis, reason="", actor=actor_of(ada))
    approve(request_, level=READ_WRITE, actor=OPERATOR)
    with pytest.raises(AlreadyGranted):
        request_analysis(group=request_.group, analysis=request_.analysis, reason="", actor=actor_of(ada))
    assert AccessRequest.objects.count() == 1


def test_approving_grants_in_one_deployment_and_tells_who_asked(request_: AccessRequest, ada: User) -> None:
    before = Deployment.objects.count()
    done = approve(request_, level=Grant.Level.READ_ONLY, note="enjoy", actor=OPERATOR)
    assert Deployment.objects.count() == before + 1
    assert done.deployment == Deployment.objects.latest("pk")
    assert Grant.objects.wanted().get(group=done.group).level == Grant.Level.READ_ONLY
    told = delivered("You may use epi")
    assert told.to == [ada.email]
    assert "/analyses/epi/" in told.body
    assert "enjoy" in told.body


def test_the_second_to_decide_is_told_and_changes_nothing(request_: AccessRequest) -> None:
    stale = AccessRequest.objects.get(pk=request_.pk)
    decline(request_, note="not yet", actor=OPERATOR)
    with pytest.raises(NotOpen, match="declined"):
        approve(stale, level=READ_WRITE, actor=OPERATOR)
    assert not Grant.objects.exists()
    told = delivered("was not granted")
    assert "not yet" in told.body


def test_what_was_granted_meanwhile_closes_without_another_deployment(request_: AccessRequest) -> None:
    GrantFactory.create(group=request_.group, analysis=request_.analysis)
    before = Deployment.objects.count()
    done = approve(request_, level=READ_WRITE, actor=OPERATOR)
    assert (done.state, done.deployment) == (APPROVED, None)
    assert Deployment.objects.count() == before


def test_who_asked_may_take_it_back_and_a_stranger_may_not(request_: AccessRequest, ada: User, grace: User) -> None:
    with pytest.raises(NotYours):
        withdraw(request_, actor=actor_of(grace))
    withdraw(request_, actor=actor_of(ada))
    request_.refresh_from_db()
    assert request_.state == AccessRequest.State.WITHDRAWN
    # And may ask again.
    assert request_analysis(group=request_.group, analysis=request_.analysis, reason="", actor=actor_of(ada)).state == WAITING


def test_granting_several_is_one_deployment_a_group_and_leaves_alone_what_is_there(
    group: Group, other: Group, epi: Analysis
) -> None:
    video = AnalysisFactory.create(slug="video", bucket="cohort-video")
    grant_many(analyses=[epi, video], groups=[group], level=READ_WRITE, actor=OPERATOR)
    settle(group.stack)
    settle(other.stack)
    kept = set(Grant.objects.values_list("pk", flat=True))
    assert [grant.group for grant in plan_grants(analyses=[epi, video], groups=[group, other], level=READ_WRITE)] == [other]
    (started,) = grant_many(analyses=[epi, video], groups=[group, other], level=READ_WRITE, actor=OPERATOR)
    assert started.stack == other.stack
    assert kept < set(Grant.objects.wanted().values_list("pk", flat=True))
    assert Grant.objects.wanted().count() == 4


def test_granting_to_another_extent_changes_it(group: Group, epi: Analysis) -> None:
    grant_many(analyses=[epi], groups=[group], level=READ_WRITE, actor=OPERATOR)
    (planned,) = plan_grants(analyses=[epi], groups=[group], level=Grant.Level.READ_ONLY)
    assert planned.narrowed == (epi,)
    grant_many(analyses=[epi], groups=[group], level=Grant.Level.READ_ONLY, actor=OPERATOR)
    (planned,) = plan_grants(analyses=[epi], groups=[group], level=READ_WRITE)
    assert planned.narrowed == ()
    assert [grant.level for grant in Grant.objects.wanted()] == [Grant.Level.READ_ONLY]


def test_the_default_analyses_are_those_not_made_for_certain_groups(group: Group, epi: Analysis) -> None:
    special = AnalysisFactory.create(slug="special", bucket="cohort-special")
    describe(analysis=special, actor=OPERATOR, is_custom=True)
    defaults = list(select_analyses("default"))
    assert len(grant_many(analyses=defaults, groups=[group], level=READ_WRITE, actor=OPERATOR)) == 1
    assert [grant.analysis for grant in Grant.objects.wanted()] == [epi]


def test_what_one_group_is_refused_changes_none(group: Group, other: Group, epi: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    from control_plane.research.catalogue import grants

    def refusing(**asked):
        if asked["group"].pk == other.pk:
            raise Refused("Too many. Nothing was changed.")
        return grant_analyses(**asked)

    monkeypatch.setattr(grants, "grant_analyses", refusing)
    with pytest.raises(Refused, match="Too many"):
        grant_many(analyses=[epi], groups=[group, other], level=READ_WRITE, actor=OPERATOR)
    assert not Grant.objects.exists()


def delivered(words: str) -> mail.EmailMessage:
    """Deliver what is new, and find the one e-mail with these words in its subject."""
    for notice in Notice.objects.unsent().order_by("pk"):
        assert deliver(notice.pk, notice.attempts)
    (found,) = [message for message in mail.outbox if words in message.subject]
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    call_command("catalogue", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_an_engineer_describes_from_a_folder(tmp_path: Path, epi: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "description.md").write_text("# What\n")
    (tmp_path / "template.yaml").write_text("window: 5\n")
    (tmp_path / "schema.json").write_text(SCHEMA)
    run(capsys, "describe", "epi", "--from", str(tmp_path), "--summary", "Traces", "--custom")
    shown = run(capsys, "show", "epi")
    assert shown["template"] == "window: 5\n"
    assert (shown["summary"], shown["is_custom"]) == ("Traces", True)
    assert [row["slug"] for row in run(capsys, "list")] == ["epi"]
    (tmp_path / "template.yaml").write_text("window: long\n")
    with pytest.raises(CommandError, match="field window"):
        call_command("catalogue", "describe", "epi", "--from", str(tmp_path))


def test_an_engineer_grants_and_decides(request_: AccessRequest, other: Group, capsys: pytest.CaptureFixture[str]) -> None:
    (waiting,) = run(capsys, "requests")
    assert (waiting["number"], waiting["group"]) == (request_.pk, "example-lab")
    assert run(capsys, "decline", str(request_.pk), "--note", "no")["state"] == "declined"
    assert run(capsys, "requests") == []
    run(capsys, "grant", "--default", "--to", "other-lab", "example-lab")
    assert Grant.objects.wanted().count() == 2
