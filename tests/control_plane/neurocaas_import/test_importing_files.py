"""Profiles of any shape, files that are none, and the report on them."""

import codecs
import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_members
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment
from control_plane.neurocaas_import import applying, reading
from control_plane.neurocaas_import.applying import apply_plan
from control_plane.neurocaas_import.entries import Entry
from control_plane.neurocaas_import.planning import make_plan
from control_plane.neurocaas_import.reading import FILE_NAME, Profile, read_profiles
from control_plane.neurocaas_import.targets import ImportChoices
from tests.control_plane.legacy_profiles import LAB, Importer, lab, profile, said

pytestmark = pytest.mark.django_db

# Shapes


@pytest.mark.parametrize(
    "document",
    [
        [LAB],
        LAB,
        {"Affiliates": [LAB]},
        {"UXData": [LAB]},
        {"UXData": {"Affiliates": LAB}},
        {"UXData": {"Affiliates": [[LAB]]}},
        {"UXData": {"Affiliates": {"one": LAB}}},
        {"a": [{"b": {"c": [LAB]}}]},
        profile({"affiliate_name": "oldlab", "User Names": ["ada"], "contactEmail": "ada@example.org"}),
    ],
)
def test_an_affiliate_is_found_wherever_it_stands(importer: Importer, document: Any) -> None:
    report = importer.one(document, "--apply")
    assert report["fate"] == "mended"
    assert Membership.objects.get().group.slug == "oldlab"


@pytest.mark.parametrize("stranger", [None, 1, "text", [], {}, [1], {"a": 1}, {"UserNames": ["x@example.org"]}])
def test_a_good_affiliate_is_taken_beside_what_is_none(importer: Importer, stranger: Any) -> None:
    report = importer.one(profile(stranger, LAB, stranger), "--apply")
    assert sorted(affiliate["fate"] for affiliate in report["affiliates"]) == ["refused", "refused", "taken"]
    assert Membership.objects.get().group.slug == "oldlab"


@pytest.mark.parametrize(
    "document", [1, '"text"', [], {}, {"UXData": None}, {"UXData": {"Affiliates": []}}, {"UXData": {"Affiliates": "x"}}]
)
def test_a_document_without_affiliates_is_refused(importer: Importer, document: Any) -> None:
    report = importer.one(document)
    assert report["fate"] == "refused"
    assert "UXData.Affiliates" in said(report)


def test_unknown_keys_are_named_once(importer: Importer) -> None:
    report = importer.one(profile(lab(Colour=1), lab(AffiliateName="other", Colour=2), Extra=3))
    assert sum("Colour" in note for note in report["notes"]) == 1
    assert "Extra" in said(report)


def test_a_group_with_nobody_and_nothing_is_not_made(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(UserNames=[], ContactEmail=[])), "--apply")["affiliates"]
    assert one["fate"] == "refused"
    assert not Group.objects.exists()


# Files


@pytest.mark.parametrize(
    ("content", "fate", "reason"),
    [
        (b"", "refused", "empty"),
        (b"\0\0\0", "refused", "empty"),
        (b"{", "refused", "line 1, column 2"),
        (b'{"a": 1}\0\0', "refused", "null bytes"),
        (b"caf\xe9", "refused", "iconv"),
        (b"[" * 100_000, "refused", "too deeply"),
        (b'{"a":' * 100_000, "refused", "too deeply"),
        (b"null", "refused", "null"),
        (codecs.BOM_UTF8 + json.dumps(profile(LAB)).encode(), "mended", "byte order mark"),
        (json.dumps(profile(LAB)).encode("utf-16"), "mended", "UTF-16"),
        (b'{"UXData": 1, ' + json.dumps(profile(LAB)).encode()[1:], "mended", "UXData"),
        (json.dumps(profile(lab(KeySerialNumber=float("nan")))).encode(), "mended", "NaN"),
        (json.dumps(profile(LAB))[:-1].encode() + b', "n": ' + b"9" * 5000 + b"}", "taken", ""),
        (json.dumps(profile(LAB)).replace("oldlab", "old\nlab").encode(), "taken", ""),
    ],
)
def test_a_file_is_read_or_refused_with_its_reason(importer: Importer, content: bytes, fate: str, reason: str) -> None:
    report = importer.one(content, "--apply")
    assert report["fate"] == fate
    assert reason in said(report)
    assert Membership.objects.count() == (fate != "refused")


def test_a_huge_file_is_refused(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    report = importer.one(profile(LAB))
    assert report["fate"] == "refused"


def test_paths_that_hold_no_profile_are_refused_and_the_others_read(importer: Importer, tmp_path: Path) -> None:
    good = importer.write(profile(LAB), "good")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / FILE_NAME).mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, points_to in (("outward", f"{good}/{FILE_NAME}"), ("dangling", "nowhere")):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE_NAME).symlink_to(points_to)
    bad = ["empty", "folder", "pipe", "loop", "outward", "dangling", "missing"]
    report = importer.run(*(str(tmp_path / name) for name in bad), good, f"{good}/{FILE_NAME}", "--apply")
    *refused, taken, twice = report["profiles"]
    assert {row["fate"] for row in refused} == {"refused"}
    assert all(item["notes"] for item in refused)
    assert "link out of its folder" in said(refused[4])
    assert taken["fate"] == "taken"
    assert "read once" in said(twice)
    assert Membership.objects.count() == 1


def test_a_file_that_may_not_be_read_is_refused(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    folder = importer.write(profile(LAB))
    monkeypatch.setattr("pathlib.Path.open", forbid)
    (report,) = read_profiles([folder])
    assert report.entry.fate == "refused"
    assert "Permission denied" in report.entry.notes[0]


def test_a_link_that_was_given_and_a_file_in_the_place_of_its_folder_are_read(importer: Importer, tmp_path: Path) -> None:
    good = importer.write(profile(LAB), "good")
    (tmp_path / "link").symlink_to(good)
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(profile(lab(AffiliateName="other"))))
    report = importer.run(str(tmp_path / "link"), str(copy), "--apply")
    assert [profile["fate"] for profile in report["profiles"]] == ["taken", "mended"]


# Reports and applying


def test_the_status_says_whether_anything_could_be_taken(importer: Importer) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("legacy", "import", importer.write(b"torn"))
    assert ended.value.code == 2
    call_command("legacy", "import", importer.write(b"torn"), importer.write(profile(LAB), "good"))


def test_an_option_that_nothing_answers_to_is_said(importer: Importer) -> None:
    report = importer.run(importer.write(profile(LAB)), "--group", "Nobody Lab=nobody")
    assert report["remarks"] == ["Nothing that is read here has the name in --group=nobody lab=…"]


def test_thousands_of_names_that_make_one_slug_are_numbered(importer: Importer) -> None:
    report = importer.one(
        profile(*(lab(AffiliateName="lab" + "!" * (number % 60), UserNames=[f"u{number}"]) for number in range(3000)))
    )
    assert len({affiliate["becomes"] for affiliate in report["affiliates"]}) == 60


def test_the_report_is_written_as_csv_and_json(importer: Importer, tmp_path: Path) -> None:
    folder = importer.write(profile(lab(UserNames=["=cmd()"])))
    importer.run(folder, "--report", str(tmp_path / "report.csv"))
    with (tmp_path / "report.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["kind"] for row in found] == ["profile", "group", "person"]
    assert found[2]["entry"] == "'=cmd()"
    assert (tmp_path / "report.csv").stat().st_mode & 0o077 == 0
    report = importer.run(folder, "--report", str(tmp_path / "report.json"))
    assert json.loads((tmp_path / "report.json").read_text()) == report


@pytest.mark.parametrize(
    "arguments",
    [
        ["--report", "report.txt"],
        ["--report", "/nowhere/r.csv"],
        ["--group", "x"],
        ["--group", "x=A B"],
        ["--pipeline", "x=unknown"],
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything(importer: Importer, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("legacy", "import", importer.write(profile(LAB)), "--apply", *arguments)
    assert not Group.objects.exists()


def test_a_group_that_fails_takes_no_other_with_it(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*, group: Group, **more: Any) -> Deployment:
        if group.slug == "full":
            raise LimitReached("The account holds as many as it may. Nothing was changed.")
        return add_members(group=group, **more)

    monkeypatch.setattr(applying, "add_members", full)
    document = profile(lab(AffiliateName="full"), LAB)
    first, second = importer.one(document, "--apply")["affiliates"]
    assert (first["fate"], first["people"][0]["fate"]) == ("refused", "refused")
    assert "as many as it may" in said(first["people"][0])
    assert second["fate"] == "taken"
    assert Group.objects.get().slug == "oldlab"


def test_nobody_else_may_import(ada: User) -> None:
    plan = make_plan([Profile("x", "x", Entry("profile", "x"), profile(LAB))], ImportChoices())
    with pytest.raises(Exception, match="administrator"):
        apply_plan(plan, access=Access.FEDERATED, actor=Actor("ada@example.org", "web", ada), report=lambda _: None)
    assert not Group.objects.exists()
