"""The file browser's server side: the page, the session, deleting and undoing. Who may, what is refused, what is on record."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from control_plane.access.groups.models import Grant
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.deployments.models import StoredManifest
from control_plane.research.storage import sessions
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from tests.actors import OPERATOR
from tests.factories import MembershipFactory, UserFactory, settle
from tests.labs import BUCKET, Lab, make_lab

pytestmark = pytest.mark.django_db

PAGE = "/groups/example-lab/files/ephys/"
API = "/api/files/example-lab/ephys/"


def post(lab: Lab, what: str, **body: Any) -> Any:
    return lab.client.post(f"{API}{what}", json.dumps(body), content_type="application/json")


@pytest.fixture
def reading_lab(db: None, aws: None) -> Lab:
    return make_lab(Grant.Level.READ_ONLY)


def test_the_page_shows_whose_files_these_are_in_few_queries(lab: Lab, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    with django_assert_max_num_queries(12):
        answer = lab.client.get(PAGE)
    assert answer.status_code == 200
    assert "Electrophysiology: files" in answer.content.decode()
    assert f'"bucket": "{BUCKET}"' in answer.content.decode()
    assert "no-store" in answer["Cache-Control"] or "no-cache" in answer["Cache-Control"]


def test_the_page_says_how_long_deleted_files_are_kept(lab: Lab) -> None:
    assert "kept as an earlier version for ever, and billed like any file." in lab.client.get(PAGE).content.decode()
    hold_days(lab, 30)
    said = lab.client.get(PAGE).content.decode()
    assert "kept as an earlier version for 30 days after that, then removed for good." in said
    assert "for ever" not in said


def hold_days(lab: Lab, days: int) -> None:
    """As if AWS held the storage stack with these days."""
    stack = lab.place.analysis.stack
    settle(stack)
    stored = StoredManifest.objects.get(stack=stack, generation=stack.deployed_generation)
    stored.text = json.dumps(json.loads(stored.text) | {"earlier_versions_days": days})
    stored.save()


def policy(lab: Lab) -> dict[str, list[str]]:
    header = lab.client.get(PAGE)["Content-Security-Policy"]
    return {name: sources for name, *sources in (word.split() for word in header.split("; "))}


def upload_settings(lab: Lab) -> dict[str, Any]:
    text = lab.client.get(PAGE).content.decode()
    found = re.search(r'<script id="upload-settings" type="application/json">(.*?)</script>', text)
    assert found
    settings: dict[str, Any] = json.loads(found[1])
    return settings


def asked_at(monkeypatch: pytest.MonkeyPatch, **settings: str | bool) -> None:
    """Where browsers reach S3."""
    changed = config().model_copy(update=settings)
    monkeypatch.setattr("control_plane.research.storage.group_folder.config", lambda: changed)


def test_the_page_s_policy_names_the_group_s_own_folder_by_its_path_where_buckets_share_a_host(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_at(monkeypatch, s3_browser_url="http://127.0.0.1:4566/")
    given = policy(lab)
    folder = f"http://127.0.0.1:4566/{BUCKET}/example-lab/"
    assert given["connect-src"] == ["'self'", f"http://127.0.0.1:4566/{BUCKET}", folder]
    assert given["img-src"] == ["'self'", "data:", "blob:", folder]
    assert given["media-src"] == ["'self'", "blob:", folder]


def test_the_page_s_policy_names_the_bucket_s_own_host_on_aws(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_at(monkeypatch, s3_browser_url="", aws_endpoint_url="")
    given, region = policy(lab), lab.group.stack.region
    host = f"https://{BUCKET}.s3.{region}.amazonaws.com"
    assert given["connect-src"][:3] == ["'self'", host, f"{host}/example-lab/"]
    assert given["img-src"] == ["'self'", "data:", "blob:", f"{host}/example-lab/"]


def test_the_page_may_send_under_s3_s_other_names_to_its_own_bucket_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_at(monkeypatch, s3_browser_url="", aws_endpoint_url="")
    region = lab.group.stack.region
    others = [
        f"https://s3.{region}.amazonaws.com/{BUCKET}",
        f"https://{BUCKET}.s3.dualstack.{region}.amazonaws.com",
        f"https://s3.dualstack.{region}.amazonaws.com/{BUCKET}",
    ]
    assert policy(lab)["connect-src"][3:] == [source for other in others for source in (other, f"{other}/example-lab/")]
    assert upload_settings(lab)["other_addresses"] == others


def test_a_setting_keeps_browsers_to_the_bucket_s_own_name(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_at(monkeypatch, s3_browser_url="", aws_endpoint_url="", s3_other_names=False)
    assert len(policy(lab)["connect-src"]) == 3
    assert upload_settings(lab)["other_addresses"] == []


@pytest.mark.parametrize(
    "endpoint", ["https://vpce-1a2b.s3.us-east-1.vpce.amazonaws.com", "http://127.0.0.1:4566", "https://localhost"]
)
def test_where_an_endpoint_was_set_requests_go_there_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    asked_at(monkeypatch, s3_browser_url=endpoint)
    assert len(policy(lab)["connect-src"]) == 3


def test_the_embedded_aws_has_other_names_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_at(monkeypatch, s3_browser_url="http://localhost:4566")
    assert upload_settings(lab)["other_addresses"] == [f"http://s3.localhost:4566/{BUCKET}", f"http://{BUCKET}.s3.localhost:4566"]


def test_the_policy_tells_nobody_of_another_group_s_bucket(lab: Lab, stranger: Client) -> None:
    answer = stranger.get(PAGE)
    assert answer.status_code == 404
    assert BUCKET not in answer["Content-Security-Policy"]


def test_a_page_that_only_reads_has_nothing_to_delete_or_send_with(reading_lab: Lab) -> None:
    text = reading_lab.client.get(PAGE).content.decode()
    assert "Your group may read and download here" in text
    assert "files-delete" not in text
    assert 'id="upload-title"' not in text


def test_access_that_is_still_being_made_is_said_and_watched(lab: Lab) -> None:
    grace = UserFactory.create(email="grace@example.org")
    MembershipFactory.create(group=lab.group, user=grace)
    lab.client.force_login(grace)
    assert "Your access to these files is being made" in lab.client.get(PAGE).content.decode()
    watching = lab.client.get(PAGE, headers={"HX-Request": "true"})
    assert "<html" not in watching.content.decode()
    settle(lab.group.stack)
    assert lab.client.get(PAGE, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


@pytest.mark.parametrize("address", [PAGE, "/groups/nobody/files/ephys/", "/groups/other-lab/files/ephys/"])
def test_another_group_s_files_do_not_exist_and_the_try_is_on_record(stranger: Client, address: str) -> None:
    assert stranger.get(address).status_code == 404
    assert AuditEvent.objects.filter(action="access.refused", actor="grace@example.org").count() == 1


def test_an_administrator_who_is_no_member_sees_no_files(lab: Lab) -> None:
    lab.client.force_login(UserFactory.create(email="admin@example.org", password="a long enough password", administrator=True))
    assert lab.client.get(PAGE).status_code == 404
    assert post(lab, "session").status_code == 404


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("session", {}),
        ("delete", {"keys": ["example-lab/inputs/a"]}),
        ("restore", {"items": [{"key": "example-lab/inputs/a", "version": "1"}]}),
    ],
)
def test_the_api_refuses_strangers_and_records_it(lab: Lab, stranger: Client, what: str, body: dict[str, Any]) -> None:
    lab.put("example-lab/inputs/a")
    answer = stranger.post(f"{API}{what}", json.dumps(body), content_type="application/json")
    assert answer.status_code == 404
    assert lab.keys() == ["example-lab/inputs/a"]
    assert AuditEvent.objects.filter(action="access.refused", actor="grace@example.org").count() == 1
    assert Client().post(f"{API}{what}", json.dumps(body), content_type="application/json").status_code == 401


def test_a_changing_call_needs_the_page_s_token(lab: Lab) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(lab.ada)
    lab.put("example-lab/inputs/a")
    body = json.dumps({"keys": ["example-lab/inputs/a"]})
    assert strict.post(f"{API}delete", body, content_type="application/json").status_code == 403
    assert strict.post(f"{PAGE}zip/", {"path": "", "keys": "[]"}).status_code == 403
    assert lab.keys() == ["example-lab/inputs/a"]


def test_a_session_reads_one_folder_and_is_kept_nowhere(lab: Lab) -> None:
    answer = post(lab, "session")
    session = answer.json()
    assert answer["Cache-Control"] == "no-store"
    assert session["bucket"] == BUCKET
    assert session["prefix"] == "example-lab/"
    assert session["session_token"]
    event = AuditEvent.objects.get(action="member.session")
    assert event.details["purpose"] == "browse"
    assert session["secret_access_key"] not in json.dumps(list(AuditEvent.objects.values()), default=str)


def test_deleted_files_come_back_as_they_were(lab: Lab) -> None:
    odd = ["example-lab/inputs/Ünï cödé 😀 & <b>.csv", "example-lab/results/a+b%20c.txt", "example-lab/configs/line\nbreak"]
    lab.put(*odd, "example-lab/inputs/stays")
    done = post(lab, "delete", keys=odd).json()["items"]
    assert {answer["key"] for answer in done} == set(odd)
    assert [answer["error"] for answer in done] == ["", "", ""]
    assert lab.keys() == ["example-lab/inputs/stays"]
    event = AuditEvent.objects.get(action="files.delete")
    assert event.details["count"] == 3
    assert sorted(event.details["markers"]) == sorted(answer["marker"] for answer in done)
    back = post(lab, "restore", items=[{"key": answer["key"], "version": answer["marker"]} for answer in done]).json()["items"]
    assert [answer["error"] for answer in back] == ["", "", ""]
    assert sorted(lab.keys()) == sorted([*odd, "example-lab/inputs/stays"])
    assert lab.s3.get_object(Bucket=BUCKET, Key=odd[0])["Body"].read() == b"trace"
    assert AuditEvent.objects.get(action="files.restore").details["count"] == 3


@pytest.mark.parametrize("key", ["./x", "../inputs/x", "a/../x", "day/..", "day/.", "."])
def test_a_file_with_a_dot_segment_is_deleted_and_comes_back_and_no_other(lab: Lab, key: str) -> None:
    lab.put("example-lab/inputs/x", "example-lab/inputs/day", "example-lab/inputs/", body=b"another")
    lab.put(whole := f"example-lab/inputs/{key}", body=b"DOT")
    before = lab.keys()
    answer = post(lab, "delete", keys=[whole])
    assert answer.status_code == 200
    (done,) = answer.json()["items"]
    assert not done["error"]
    assert lab.keys() == [item for item in before if item != whole]
    assert not post(lab, "restore", items=[{"key": whole, "version": done["marker"]}]).json()["items"][0]["error"]
    assert lab.keys() == before
    assert lab.get(whole) == b"DOT"


def test_undoing_never_ends_a_version_that_holds_data(lab: Lab) -> None:
    version = lab.s3.put_object(Bucket=BUCKET, Key="example-lab/inputs/a", Body=b"only copy")["VersionId"]
    (item,) = post(lab, "restore", items=[{"key": "example-lab/inputs/a", "version": version}]).json()["items"]
    assert "not its deletion" in item["error"]
    assert lab.s3.get_object(Bucket=BUCKET, Key="example-lab/inputs/a", VersionId=version)["Body"].read() == b"only copy"
    assert AuditEvent.objects.get(action="files.restore").details == {
        "bucket": BUCKET,
        "count": 0,
        "first": [],
        "markers": [],
        "refused": 1,
    }


@pytest.mark.parametrize("version", ["nonsense", "null", "../x", "v" * 1024])
def test_undoing_what_was_not_deleted_says_so(lab: Lab, version: str) -> None:
    lab.put("example-lab/inputs/a")
    (item,) = post(lab, "restore", items=[{"key": "example-lab/inputs/a", "version": version}]).json()["items"]
    assert item["error"]
    assert lab.keys() == ["example-lab/inputs/a"]


@pytest.mark.parametrize(
    "key",
    [
        "other-lab/inputs/a",
        "example-lab",
        "example-lab/a",
        "example-lab/elsewhere/a",
        "example-lab-2/inputs/a",
        "/example-lab/inputs/a",
        "example-lab/inputs/../../other-lab/inputs/a",
        "example-lab/inputs/a/../..",
        "../other-lab/inputs/a",
        "EXAMPLE-LAB/inputs/a",
    ],
)
def test_a_key_that_is_not_the_group_s_to_clean_is_refused_with_all_beside_it(lab: Lab, key: str) -> None:
    lab.put("example-lab/inputs/good", key)
    before = lab.keys()
    for what, body in (
        ("delete", {"keys": ["example-lab/inputs/good", key]}),
        ("restore", {"items": [{"key": key, "version": "v"}]}),
    ):
        answer = post(lab, what, **body)
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.json()["detail"]
    assert lab.keys() == before
    assert AuditEvent.objects.filter(action="access.refused").count() == 2


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["example-lab/inputs/a"] * 1001,
        [""],
        ["example-lab/inputs/" + "a" * 1024],
        [None],
        "example-lab/inputs/a",
        ["example-lab/inputs/\ud800"],
    ],
)
def test_what_is_no_list_of_up_to_a_thousand_keys_is_refused(lab: Lab, keys: Any) -> None:
    assert post(lab, "delete", keys=keys).status_code == 422


def test_a_group_that_may_only_read_deletes_and_restores_nothing(reading_lab: Lab) -> None:
    reading_lab.put("example-lab/inputs/a")
    assert post(reading_lab, "session").status_code == 200
    assert post(reading_lab, "delete", keys=["example-lab/inputs/a"]).status_code == 403
    assert post(reading_lab, "restore", items=[{"key": "example-lab/inputs/a", "version": "v"}]).status_code == 403
    assert reading_lab.keys() == ["example-lab/inputs/a"]


def test_where_s3_does_not_answer_nothing_is_called_deleted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.put("example-lab/inputs/a")
    monkeypatch.setattr("control_plane.research.storage.group_folder.GroupFolder.bucket", "cohort-is-not-there")
    (item,) = post(lab, "delete", keys=["example-lab/inputs/a"]).json()["items"]
    assert item["marker"] == ""
    assert item["error"]


def test_a_session_that_may_end_versions_never_leaves(lab: Lab) -> None:
    for purpose in (sessions.Purpose.DELETE, sessions.Purpose.RESTORE):
        with pytest.raises(ValueError, match="does not leave"):
            sessions.hand_out(_place(lab), purpose, OPERATOR)
    for purpose in (sessions.Purpose.BROWSE, sessions.Purpose.UPLOAD):
        assert "DeleteObject" not in json.dumps(sessions.session_policy(_place(lab), purpose))


def _place(lab: Lab) -> GroupFolder:
    return find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=lab.ada)
