"""The manifest: what goes in comes out, and what does not fit is refused by name."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import manifest, names, parts
from stacks.manifest import AnalysisGrant, GroupManifest, ManifestError, ManifestTooNew, Member, PlatformManifest, parse
from stacks.store import ManifestNotFound, StoreUnavailable, open_store, read_group, read_platform
from stacks.tags import RESERVED_TAGS
from tests.stacks.builders import ADA, GRACE, group_manifest, platform_manifest

SCHEMA = Path(manifest.__file__).with_name("manifest.schema.json")

slugs = st.from_regex(names.SLUG.pattern, fullmatch=True).filter(
    lambda text: names.SLUG.shortest <= len(text) <= names.SLUG.longest and text not in names.RESERVED_SLUGS
)
usernames = st.from_regex(names.USERNAME.pattern, fullmatch=True)
buckets = st.from_regex(r"[a-z][a-z0-9]{4,20}", fullmatch=True)
members = st.builds(
    Member,
    username=usernames,
    access=st.sampled_from(["federated", "keys"]),
    key_serial=st.integers(1, 2**31 - 1),
    sessions_not_before=st.sampled_from([None, 0, 1_700_000_000, 2**33]),
)
grants = st.builds(AnalysisGrant, bucket=buckets, access=st.sampled_from(["read-write", "read-only"]))
tags = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9 _.:/=+@-]{1,30}", fullmatch=True).filter(
        lambda key: key not in RESERVED_TAGS and not key.lower().startswith("aws:")
    ),
    st.from_regex(r"[A-Za-z0-9 _.:/=+@-]{0,30}", fullmatch=True),
    max_size=5,
)
group_manifests = st.builds(
    GroupManifest,
    generation=st.integers(1, 2**31 - 1),
    account=st.from_regex(r"[0-9]{12}", fullmatch=True),
    region=st.sampled_from(["us-east-1", "eu-central-1", "ap-southeast-3", "us-gov-west-1"]),
    slug=slugs,
    members=st.lists(members, max_size=8, unique_by=lambda member: member.username).map(tuple),
    analyses=st.lists(grants, max_size=8, unique_by=lambda grant: grant.bucket).map(tuple),
    sessions_not_before=st.none() | st.integers(0, 2**33),
    tags=tags,
)


@given(group_manifests)
def test_a_manifest_survives_the_round_trip_unchanged(original: GroupManifest) -> None:
    assert parse(original.to_json()) == original
    assert parse(original.to_json()).to_json() == original.to_json()


@given(group_manifests)
def test_what_we_write_fits_the_published_schema(original: GroupManifest) -> None:
    jsonschema.validate(json.loads(original.to_json()), json.loads(SCHEMA.read_text()))


def test_a_manifest_without_a_cutoff_reads_and_writes_as_before_there_were_any() -> None:
    document = json.loads(group_manifest().to_json())
    assert all("sessions_not_before" not in member for member in document["members"])
    assert parse(json.dumps(document)) == group_manifest()
    ended = Member(username=ADA, access="federated", sessions_not_before=1_700_000_000)
    read = parse(group_manifest(members=(ended,)).to_json())
    assert isinstance(read, GroupManifest)
    assert read.members == (ended,)


def test_denials_by_name_and_cutoffs_together_are_bounded() -> None:
    names_ = ["m" + f"{number:011d}".translate(str.maketrans("0189", "wxyz")) for number in range(121)]
    ended = tuple(Member(username=name, access="federated", sessions_not_before=1_700_000_000) for name in names_[:60])
    assert len(group_manifest(members=ended, revoked=tuple(names_[60:120])).cut_offs[0][1]) == 60
    with pytest.raises(ManifestError, match="121 people"):
        group_manifest(members=ended, revoked=tuple(names_[60:]))


def test_the_published_schema_is_the_code_s_own() -> None:
    assert json.loads(SCHEMA.read_text()) == manifest.json_schema(), "run `make schema`"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_other_json_is_a_manifest_error_and_nothing_else(document: object) -> None:
    with pytest.raises(ManifestError):
        parse(json.dumps(document))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Example Lab"),
        ("slug", "ex\u0430mple"),
        ("generation", 0),
        ("generation", "1"),
        ("account", "123"),
        ("region", "nowhere"),
        ("members", [{"username": ADA, "access": "root"}]),
        ("members", [{"username": "ada@example.org", "access": "keys"}]),
        ("members", [{"username": ADA, "access": "keys"}, {"username": ADA, "access": "keys"}]),
        ("analyses", [{"bucket": "Not.A.Bucket", "access": "read-only"}]),
        ("tags", {"project": "mine"}),
        ("e_mail", "ada@example.org"),
    ],
)
def test_a_bad_field_is_named(field: str, value: object) -> None:
    document = json.loads(group_manifest().to_json()) | {field: value}
    with pytest.raises(ManifestError, match=field):
        parse(json.dumps(document))


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_an_unknown_version_is_refused_before_anything_else(version: object) -> None:
    document = json.loads(group_manifest().to_json()) | {"version": version}
    with pytest.raises(ManifestError, match="version"):
        parse(json.dumps(document))


def test_it_has_no_room_for_an_address_or_a_secret() -> None:
    fields = {"username", "access", "key_serial", "previous_key", "part", "suspended", "sessions_not_before"}
    assert set(Member.model_fields) == fields


def test_a_star_is_never_an_origin() -> None:
    with pytest.raises(ManifestError, match="origins"):
        platform_manifest(origins=("*",))


def test_more_key_holders_than_a_stack_holds_are_refused_beforehand() -> None:
    many = tuple(Member(username=f"m{_base32(number)}", access="keys") for number in range(parts.MAX_KEY_HOLDERS + 1))
    with pytest.raises(ManifestError, match="members hold keys"):
        group_manifest(members=many)


def test_more_keys_in_one_part_than_its_stack_holds_are_refused_beforehand() -> None:
    fields = {"access": "keys", "key_serial": 2, "previous_key": "active", "part": 1}
    many = tuple(Member.model_validate({"username": f"m{_base32(number)}", **fields}) for number in range(121))
    with pytest.raises(ManifestError, match="resources of one stack"):
        group_manifest(members=many)
    assert group_manifest(members=many[:120])


def test_only_key_holders_have_a_part() -> None:
    federated = {"username": GRACE, "access": "federated", "part": 1}
    with pytest.raises(ManifestError, match="part"):
        parse(json.dumps(json.loads(group_manifest().to_json()) | {"members": [federated]}))


def test_a_folder_keeps_what_was_published(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("groups/example-lab.json", group_manifest().to_json())
    store.write("platform.json", platform_manifest().to_json())
    assert read_group(store, "example-lab") == group_manifest()
    assert isinstance(read_platform(store), PlatformManifest)
    assert store.group_slugs() == ["example-lab"]


def test_a_group_that_was_never_published_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestNotFound, match=r"groups/nobody\.json"):
        read_group(open_store(str(tmp_path)), "nobody")


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("platform.json", "old")
    (tmp_path / "groups").write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable, match="Nothing that was published changed"):
        store.write("groups/example-lab.json", "new")
    assert store.read("platform.json") == "old"


def test_a_store_that_is_neither_folder_nor_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="COHORT_MANIFEST_STORE"):
        open_store("ftp://example.org/manifests")


def _base32(number: int) -> str:
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(digits[number >> (5 * place) & 31] for place in range(11))


def test_a_manifest_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ManifestError, match="too deeply"):
        parse("[" * 100_000)


def with_field(name: str, value: object, **more: object) -> str:
    """The text of a manifest as a newer release could write it."""
    return json.dumps(json.loads(group_manifest().to_json()) | {name: value} | more)


@pytest.mark.parametrize("document", [with_field("denied_actions", ["s3:PutObject"]), with_field("version", 2)])
def test_what_a_newer_release_may_deny_by_is_refused_and_named(document: str) -> None:
    with pytest.raises(ManifestTooNew, match=r"denied_actions.*may grant or deny|version is 2"):
        parse(document)


def test_what_a_newer_release_says_is_neither_granting_nor_denying_is_left_out() -> None:
    written = json.loads(with_field("cost_centre", "17", ignorable=["cost_centre", "members.note", "tags"]))
    written["members"][0]["note"] = "on leave"
    read = parse(json.dumps(written))
    assert isinstance(read, GroupManifest)
    assert read.model_copy(update={"ignorable": ()}) == group_manifest()
    written["members"][0]["denied"] = True
    with pytest.raises(ManifestTooNew, match=r"members\.0\.denied"):
        parse(json.dumps(written))


def test_a_field_that_is_known_counts_however_it_is_listed() -> None:
    suspended = parse(with_field("suspended", True, ignorable=["suspended"]))
    assert isinstance(suspended, GroupManifest)
    assert suspended.suspended
