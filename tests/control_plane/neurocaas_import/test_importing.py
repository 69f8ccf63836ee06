"""`manage.py legacy import`: every oddity of a profile gets a decision, and nothing good is lost beside it."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from control_plane.access.groups.models import Analysis, Grant, Group, Membership
from control_plane.access.groups.services.analyses import revoke_analysis
from control_plane.access.groups.services.members import remove_member
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.actors import OPERATOR
from tests.control_plane.legacy_profiles import LAB, SAMPLES, Importer, fates, lab, profile, said, state
from tests.factories import AnalysisFactory

pytestmark = pytest.mark.django_db

# The samples


def test_the_sample_profiles_are_reported_entry_by_entry(importer: Importer, epi: Analysis) -> None:
    report = importer.run(str(SAMPLES), "--pipeline", "epi-ncap-web=epi")
    assert not report["applied"]
    assert not Group.objects.exists()
    assert not User.objects.exists()
    broken, one, two, odd = report["profiles"]

    assert fates(report["profiles"]) == [
        ("broken", "refused", ""),
        ("lab-one", "taken", ""),
        ("lab-two", "taken", ""),
        ("odd-names", "taken", ""),
    ]
    assert "the template that nobody filled in" in said(broken["affiliates"][0])

    (example,) = one["affiliates"]
    assert fates([example]) == [("examplelab", "taken", "examplelab")]
    assert fates(example["people"]) == [
        ("ada1597000001", "mended", "ada@example.org"),
        ("ben1597000002", "mended", "ben@example.org"),
    ]
    assert "the time that the predecessor put there (2020-08-09)" in said(example["people"][0])
    assert fates(example["analyses"]) == [("epi-ncap-web", "mended", "epi"), ("dlc-ncap-web", "refused", "")]
    assert "--pipeline" in said(example["analyses"][1])
    assert example["copies"] == ["aws s3 sync s3://epi-ncap-web/examplelab/ s3://cohort-epi/examplelab/"]

    north, south = two["affiliates"]
    assert fates([north, south]) == [("northlab", "mended", "northlab"), ("southlab", "taken", "southlab")]
    assert fates(north["people"] + south["people"]) == [
        ("cho", "taken", "cho@example.org"),
        ("dee", "taken", "dee@example.org"),
        ("eli", "taken", "eli@example.org"),
    ]

    fay, carcea = odd["affiliates"]
    assert fates([fay, carcea]) == [
        ("fay_t@example.orggroup", "mended", "fay-t"),
        ("Carcea Lab", "mended", "carcea-lab"),
    ]
    assert fates(fay["people"]) == [("fay_t@example.org", "taken", "fay_t@example.org")]
    assert fates(fay["analyses"]) == [("epi-ncap-web", "mended", "epi"), ("dlc-ncap-web", "refused", "")]
    assert fates(carcea["people"]) == [("gus", "mended", "gus@example.org"), ("gus", "mended", "gus@example.org")]
    assert fates(carcea["analyses"]) == [("carceamonitored", "refused", "")]
    assert report["totals"]["person"] == {"taken": 4, "mended": 4}


def test_the_sample_profiles_are_taken_in_and_a_second_time_changes_nothing(importer: Importer, epi: Analysis) -> None:
    arguments = (str(SAMPLES), "--pipeline", "epi-ncap-web=epi", "--apply", "--access", "keys")
    first = importer.run(*arguments)
    assert first["applied"]
    assert {group.slug: group.name for group in Group.objects.all()} == {
        "examplelab": "examplelab",
        "northlab": "northlab",
        "southlab": "southlab",
        "fay-t": "fay_t@example.orggroup",
        "carcea-lab": "Carcea Lab",
    }
    assert set(Membership.objects.values_list("group__slug", "user__email", "access")) == {
        ("examplelab", "ada@example.org", "keys"),
        ("examplelab", "ben@example.org", "keys"),
        ("northlab", "cho@example.org", "keys"),
        ("southlab", "dee@example.org", "keys"),
        ("southlab", "eli@example.org", "keys"),
        ("fay-t", "fay_t@example.org", "keys"),
        ("carcea-lab", "gus@example.org", "keys"),
    }
    assert set(Grant.objects.values_list("group__slug", "analysis__slug", "level")) == {
        ("examplelab", "epi", "read-write"),
        ("fay-t", "epi", "read-write"),
    }
    # One deployment for each group, whatever was done in it.
    for group in Group.objects.all():
        assert group.stack.deployments.get().pk == first["deployments"][f"group {group.slug}"]
    events = AuditEvent.objects.filter(action="legacy.import").order_by("pk")
    assert [event.target for event in events] == ["profile lab-one", "profile lab-two", "profile odd-names"]
    assert events[0].details["people"] == ["ada@example.org", "ben@example.org"]
    assert events[0].details["refused"] == 1

    before = state()
    second = importer.run(*arguments)
    assert state() == before
    assert second["deployments"] == {}
    assert {kind: set(counts) for kind, counts in second["totals"].items()} == {
        "profile": {"refused", "there already"},
        "group": {"refused", "there already"},
        "person": {"there already"},
        "analysis": {"refused", "there already"},
    }


def test_the_text_says_what_to_do(importer: Importer, capsys: pytest.CaptureFixture[str], epi: Analysis) -> None:
    call_command("legacy", "import", str(SAMPLES))
    text = capsys.readouterr().out
    assert text.startswith("Dry run: nothing was changed.")
    assert "  group Carcea Lab -> carcea-lab: mended\n" in text
    assert "    person ben1597000002 -> ben@example.org: mended\n" in text
    assert "profile: 3 taken, 1 refused" in text


# People


@pytest.mark.parametrize(
    ("users", "addresses", "expected"),
    [
        (["ada", "ben"], ["ada@example.org", "b@example.org"], ["ada@example.org", "b@example.org"]),
        (["ada", "ben"], ["ada@example.org"], ["ada@example.org", ""]),
        (["ada", "ben", "cho"], ["ben@example.org", "cho@example.org"], ["", "ben@example.org", "cho@example.org"]),
        (["ada", "ben"], "ada@example.org", ["ada@example.org", ""]),
        (["ada", "ben"], "ada@example.org; b@example.org", ["ada@example.org", "b@example.org"]),
        (["ada", "ben"], "['ada@example.org', u'b@example.org']", ["ada@example.org", "b@example.org"]),
        ("ada, ben", ["ada@example.org", "b@example.org"], ["ada@example.org", "b@example.org"]),
        ("ada", "a@example.org", ["a@example.org"]),
        (["ada1597000001"], {"ada": "ada@example.org"}, ["ada@example.org"]),
        (["ada"], {"Ada1597000001": ["ada@example.org", "b@example.org"]}, ["ada@example.org"]),
        ({"ada": "ada@example.org"}, None, ["ada@example.org"]),
        (["ada@example.org1597000001"], None, ["ada@example.org"]),
        (["ada@example.org"], ["not one"], ["ada@example.org"]),
        (["ada"], ["Ada Lovelace <ADA@Example.org>"], ["ada@example.org"]),
        (["ada"], [" mailto:ada@example.org, "], ["ada@example.org"]),
        (["ada"], None, [""]),
        (["ada"], ["ad\u0430@example.org"], [""]),
        (["ada"], [7], [""]),
        (["ada", None, 7, "", {}], ["a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@example.org"], None),
    ],
)
def test_people_are_known_by_their_addresses(importer: Importer, users: Any, addresses: Any, expected: list[str] | None) -> None:
    (one,) = importer.one(profile(lab(UserNames=users, ContactEmail=addresses)))["affiliates"]
    assert [person["becomes"] for person in one["people"]] == (expected or ["a@example.org", "", "c@example.org", "", ""])
    for person in one["people"]:
        assert (person["fate"] == "refused") == (person["becomes"] == "")
        assert person["becomes"] or person["notes"]


def test_a_user_without_an_address_is_told_how_to_get_one(importer: Importer, tmp_path: Path) -> None:
    document = profile(
        lab(UserNames=["ada1597000001", "ben"], ContactEmail=[]), lab(AffiliateName="other", UserNames=["ben"], ContactEmail=None)
    )
    first, second = importer.one(document)["affiliates"]
    assert first["fate"] == second["fate"] == "refused"
    assert "--emails file.csv (username,email)" in said(first["people"][0])
    book = tmp_path / "book.csv"
    book.write_text("username,email,affiliate\nada,ada@example.org,\nben,b1@example.org,\nben,b2@example.org,Other\n")
    first, second = importer.one(document, "--emails", str(book))["affiliates"]
    assert [person["becomes"] for person in first["people"] + second["people"]] == [
        "ada@example.org",
        "b1@example.org",
        "b2@example.org",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nusername;email;affiliate\r\nada;ada@example.org;Labor M\xfcller\r\n",
        "\ufeffUsername\tEmail\tAffiliate\nada\tada@example.org\tLabor Müller\n".encode(),
    ],
)
def test_addresses_are_read_from_whatever_a_spreadsheet_wrote(importer: Importer, tmp_path: Path, content: bytes) -> None:
    book = tmp_path / "book.csv"
    book.write_bytes(content)
    document = profile(lab(AffiliateName="Labor Müller", UserNames=["ada"], ContactEmail=[]))
    (one,) = importer.one(document, "--emails", str(book))["affiliates"]
    assert [person["becomes"] for person in one["people"]] == ["ada@example.org"]


@pytest.mark.parametrize(
    "content", [b"name,mail\nada,ada@example.org\n", b"username,email\nada,nothing\n", b"\xff\xfe\xfd", b"", None]
)
def test_a_file_of_addresses_that_makes_no_sense_is_refused_whole(
    importer: Importer, tmp_path: Path, content: bytes | None
) -> None:
    book = tmp_path / "book.csv"
    if content is not None:
        book.write_bytes(content)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("legacy", "import", importer.write(profile(LAB)), "--emails", str(book), "--apply")
    assert not Group.objects.exists()


def test_an_address_of_nobody_is_reported(importer: Importer) -> None:
    (one,) = importer.one(profile(lab(UserNames=["ada"], ContactEmail=["ada@example.org", "pi@example.org"])))["affiliates"]
    assert fates(one["addresses"]) == [("pi@example.org", "refused", "")]
    assert "manage.py member add" in said(one["addresses"][0])


def test_two_names_with_one_address_are_one_person(importer: Importer) -> None:
    document = profile(lab(UserNames=["ada", "ada1597000001"], ContactEmail=["ada@example.org", "ADA@example.org"]))
    (one,) = importer.one(document, "--apply")["affiliates"]
    assert "they are one person" in said(one["people"][1])
    assert Membership.objects.get().user.email == "ada@example.org"


def test_what_was_taken_away_since_is_not_given_again(importer: Importer, epi: Analysis) -> None:
    document = profile(lab(Pipelines=["cohort-epi"]))
    importer.one(document, "--apply")
    group = Group.objects.get()
    remove_member(group=group, user=User.objects.get(), actor=OPERATOR)
    revoke_analysis(analysis=epi, group=group, actor=OPERATOR)
    (one,) = importer.one(document, "--apply")["affiliates"]
    assert one["people"][0]["fate"] == one["analyses"][0]["fate"] == "refused"
    assert "manage.py member add oldlab ada@example.org" in said(one["people"][0])
    assert not Membership.objects.wanted().exists()


def test_an_account_that_is_not_active_keeps_nobody_else_out(importer: Importer, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    (one,) = importer.one(profile(lab(UserNames=["ada", "ben"], ContactEmail=["ada@example.org", "b@example.org"])), "--apply")[
        "affiliates"
    ]
    assert [person["fate"] for person in one["people"]] == ["refused", "taken"]
    assert Membership.objects.get().user.email == "b@example.org"


# Pipelines


@pytest.mark.parametrize(
    "pipelines",
    [
        ["cohort-epi", "cohort-epi"],
        "['cohort-epi','cohort-dlc']",
        "cohort-epi, cohort-dlc",
        "cohort-epi cohort-dlc",
        ["cohort-epi,cohort-dlc"],
        "cohort-epi",
        '["cohort-epi"]',
        [" s3://Cohort-EPI/ "],
    ],
)
def test_pipelines_become_the_analyses_with_these_buckets(importer: Importer, epi: Analysis, pipelines: Any) -> None:
    AnalysisFactory.create(slug="dlc", bucket="cohort-dlc")
    (one,) = importer.one(profile(lab(Pipelines=pipelines)), "--apply")["affiliates"]
    assert {entry["becomes"] for entry in one["analyses"]} <= {"epi", "dlc"}
    assert {entry["fate"] for entry in one["analyses"]} <= {"taken", "mended"}
    expected = {"epi", "dlc"} if "dlc" in str(pipelines) else {"epi"}
    assert set(Grant.objects.values_list("analysis__slug", flat=True)) == expected


@pytest.mark.parametrize("pipelines", [[None, 3.5, {}, [], "", "no bucket at all!", "x" * 70], {"a": 1}, 3.5, True])
def test_a_pipeline_that_is_none_is_refused_alone(importer: Importer, pipelines: Any) -> None:
    (one,) = importer.one(profile(lab(Pipelines=pipelines)), "--apply", "--create-analyses")["affiliates"]
    assert {entry["fate"] for entry in one["analyses"]} == {"refused"}
    assert one["people"][0]["fate"] == "taken"


def test_unknown_analyses_are_made_if_asked_for_and_allowed(importer: Importer) -> None:
    document = profile(lab(Pipelines=["cohort-new", "epi-ncap-web"]))
    (dry,) = importer.one(document)["affiliates"]
    assert "manage.py analysis create cohort-new --bucket cohort-new" in said(dry["analyses"][0])
    (one,) = importer.one(document, "--apply", "--create-analyses")["affiliates"]
    assert fates(one["analyses"]) == [("cohort-new", "mended", "cohort-new"), ("epi-ncap-web", "refused", "")]
    assert Analysis.objects.get().bucket == "cohort-new"
    assert Grant.objects.get().group.slug == "oldlab"
    (again,) = importer.one(document, "--apply", "--create-analyses")["affiliates"]
    assert again["analyses"][0]["fate"] == "there already"


def test_the_copying_of_data_is_given_as_commands(importer: Importer, epi: Analysis) -> None:
    document = profile(
        lab(AffiliateName="Old Lab", Pipelines=["cohort-epi"]),
        lab(AffiliateName="oldlab", Pipelines=["cohort-epi"]),
        Lambda={"LambdaConfig": {"REGION": "eu-west-1"}},
    )
    first, second = importer.one(document)["affiliates"]
    command = "aws s3 sync 's3://cohort-epi/Old Lab/' s3://cohort-epi/old-lab/ --source-region eu-west-1 --region us-east-1"
    assert first["copies"] == [command]
    assert second["copies"] == []
