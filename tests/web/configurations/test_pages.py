"""A group's configurations: what is refused with line and field, what a form keeps, and that nobody writes over anybody."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from control_plane.access.groups.models import Grant
from control_plane.base.audit.models import AuditEvent
from control_plane.research.catalogue.checking import check_configuration, parse_configuration
from control_plane.research.catalogue.documents import MAX_BYTES
from control_plane.research.configurations import form, services
from control_plane.research.configurations.services import (
    ChangedMeanwhile,
    InvalidConfiguration,
    clean_name,
    configuration_key,
    save_configuration,
)
from control_plane.research.storage.sessions import Purpose, s3_client
from tests.factories import EntryFactory
from tests.labs import BUCKET, Lab, make_lab

pytestmark = pytest.mark.django_db

BASE = "/groups/example-lab/configs/ephys/"
KEY = "example-lab/configs/first.yaml"
TEMPLATE = """# Seconds before the stimulus.
baseline: 1.5
smoothing: 3  # samples
invert: false
channels:
  - 1
  - 2
units: mV
# How the plot looks.
plot:
  title: Mean trace
  width: 640
"""
SCHEMA = """{"type": "object", "additionalProperties": false, "required": ["baseline"], "properties": {
 "baseline": {"type": "number", "minimum": 0, "title": "Baseline"}, "smoothing": {"type": "integer", "minimum": 1},
 "invert": {"type": "boolean"}, "channels": {"type": "array", "items": {"type": "integer"}},
 "units": {"enum": ["mV", "uV"]}, "plot": {"type": "object"}}}"""


@pytest.fixture
def described(lab: Lab) -> Lab:
    EntryFactory.create(analysis=lab.analysis, template=TEMPLATE, schema=SCHEMA)
    return lab


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("- 1\n- 2\n", 1, "a list"),
        ("just text", 1, "single value"),
        ("a: 1\n\tb: 2\n", 2, "YAML"),
        ("a:\n\t- 1\n", 2, "tab"),
        ("a: 1\na: 2\n", 2, "duplicate"),
        ("a: 1\nb: 'open\nc: 3\n", 2, "end of stream"),
        ("a: [1, 2\n", 1, "YAML"),
        ("a: 1\n  b: 2\n", 2, "YAML"),
        ("a: 1\nb: !!python/object/apply:os.system ['x']\n", 2, "tag"),
        ("a: 1\nb: !thing x\n", 2, "tag"),
        ("a: &x [1]\nb: [*y]\n", 2, "alias"),
        ("a: 1\nb: \x00\n", 2, "character"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested deeper"),
        ("a: " + "x" * MAX_BYTES, 0, "1 MB"),
        ("baseline: -1\n", 1, "minimum"),
        ("baseline: 1\nunits: kV\n", 2, "not one of"),
        ("baseline: 1\nsmoothing: 2.5\n", 2, "integer"),
        ("baseline: 1\nchannels:\n  - 1\n  - x\n", 4, "integer"),
        ("baseline: 1\nother: 2\n", 2, "unexpected"),
        ("units: mV\n", 1, "required"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, says: str) -> None:
    first = check_configuration(text, TEMPLATE, SCHEMA)[0]
    assert says in first.message
    assert first.line == line
    assert not first.is_warning


@pytest.mark.parametrize(("text", "field"), [("baseline: x", "baseline"), ("baseline: 1\nchannels: [1, x]", "channels[1]")])
def test_the_field_is_named(text: str, field: str) -> None:
    assert check_configuration(text, TEMPLATE, SCHEMA)[0].field == field


@pytest.mark.parametrize(
    "text", [TEMPLATE, TEMPLATE.replace("\n", "\r\n"), "\ufeff" + TEMPLATE, "baseline: 0.1\n# end\n", "{baseline: 2}"]
)
def test_what_is_right_is_taken(text: str) -> None:
    assert check_configuration(text, TEMPLATE, SCHEMA) == []


def test_without_a_schema_the_template_warns_and_refuses_nothing() -> None:
    told = check_configuration("baseline: soon\nextra: 1\n", TEMPLATE)
    assert all(problem.is_warning for problem in told)
    assert {(problem.field, problem.line) for problem in told} >= {("baseline", 1), ("extra", 2), ("units", 0)}


@pytest.mark.parametrize("schema", ["no json", "[]", '{"type": 5}', '{"$ref": "https://example.org/x.json"}'])
def test_a_schema_that_is_broken_or_elsewhere_keeps_nobody_from_saving(schema: str) -> None:
    assert all(problem.is_warning for problem in check_configuration("a: 1", "", schema))


def test_the_form_has_types_helps_and_defaults() -> None:
    top, plot = form.form_sections(TEMPLATE, TEMPLATE, SCHEMA)
    fields = {field.label: field for field in top.fields}
    assert {label: field.kind for label, field in fields.items()} == {
        "Baseline": "number",
        "smoothing": "integer",
        "invert": "bool",
        "channels": "lines",
        "units": "select",
    }
    assert (fields["Baseline"].value, fields["Baseline"].help, fields["Baseline"].is_required) == (
        "1.5",
        "Seconds before the stimulus.",
        True,
    )
    assert fields["smoothing"].help == "samples"
    assert fields["channels"].value == "1\n2"
    assert fields["units"].choices == ("mV", "uV")
    assert (plot.title, plot.help) == ("plot", "How the plot looks.")
    assert [(field.label, field.value) for field in plot.fields] == [("title", "Mean trace"), ("width", "640")]


def given(text: str, **values: str) -> dict[str, str]:
    """What a browser sends of the form with these fields changed."""
    sent = {}
    for section in form.form_sections(text, TEMPLATE, SCHEMA):
        for field in section.fields:
            value = values.get(field.path[-1], field.value)
            if field.kind != "bool" or value == "true":
                sent[f"field-{field.id}"] = value
    return sent


def test_a_form_changes_what_was_changed_and_keeps_comments_order_and_what_it_does_not_know() -> None:
    text = TEMPLATE + "unknown:\n  deep: [1, {a: 2}]  # ours\n"
    assert form.apply_form(text, TEMPLATE, SCHEMA, given(text)) == text
    changed = form.apply_form(text, TEMPLATE, SCHEMA, given(text, baseline="0.25", invert="true", channels="3\n4", title="Ours: é"))
    assert "baseline: 0.25\n" in changed
    assert "invert: true\n" in changed
    assert check_configuration(changed, TEMPLATE, "") == [
        problem for problem in check_configuration(changed, TEMPLATE, "") if problem.field == "unknown"
    ]
    for kept in ("# Seconds before the stimulus.", "# samples", "# How the plot looks.", "# ours"):
        assert kept in changed
    assert parse_configuration(changed)["unknown"] == {"deep": [1, {"a": 2}]}
    read_again = form.form_sections(changed, TEMPLATE, SCHEMA)
    values = {field.label: field.value for item in read_again for field in item.fields}
    assert (values["channels"], values["title"]) == ("3\n4", "Ours: é")


def test_what_is_no_number_is_told_and_not_lost(described: Lab) -> None:
    sent = given(TEMPLATE, baseline="soon")
    answer = described.client.post(f"{BASE}new/", {**sent, "text": TEMPLATE, "mode": "form", "name": "first"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "field baseline" in page
    assert 'value="soon"' in page
    assert page.count('aria-invalid="true"') == 1
    assert described.keys("example-lab/configs/") == []


def test_a_new_one_is_saved_as_typed_and_recorded(described: Lab) -> None:
    answer = described.client.post(
        f"{BASE}new/", {**given(TEMPLATE, baseline="2"), "text": TEMPLATE, "mode": "form", "name": "first"}
    )
    assert answer.status_code == 302
    assert described.get(KEY).decode() == TEMPLATE.replace("1.5", "2")
    assert AuditEvent.objects.filter(action="configuration.save", actor="ada@example.org").count() == 1
    page = described.client.get(answer["Location"]).content.decode()
    assert "first is saved" in page


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a\nb/", "…"])
def test_names_that_lead_elsewhere_are_refused(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidConfiguration, match="Nothing was saved"):
        clean_name(name)
    answer = lab.client.post(f"{BASE}new/", {"text": "a: 1", "mode": "text", "name": name})
    assert answer.status_code == 422
    assert lab.keys() == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\nb", "\x7f", "x" * 901])
def test_no_name_leads_out_of_the_folder(lab: Lab, name: str) -> None:
    with pytest.raises(InvalidConfiguration, match="Nothing was changed"):
        configuration_key(lab.place, name)


def test_bad_yaml_names_the_line_keeps_the_text_and_saves_nothing(described: Lab) -> None:
    bad = "baseline: 1\nunits: [mV\n"
    answer = described.client.post(f"{BASE}new/", {"text": bad, "mode": "text", "name": "first"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 2" in page
    assert "units: [mV" in page
    assert described.keys("example-lab/configs/") == []


def test_nobody_writes_over_what_somebody_saved_meanwhile(described: Lab) -> None:
    described.put(KEY, body=b"baseline: 1\n")
    etag = described.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    described.put(KEY, body=b"baseline: 7\n")
    sent = {"text": "baseline: 2\n", "mode": "text", "etag": etag}
    answer = described.client.post(f"{BASE}of/first/", sent)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "after you opened it. Nothing was saved" in page
    assert "-baseline: 7" in page
    assert "+baseline: 2" in page
    assert described.get(KEY) == b"baseline: 7\n"
    kept = described.client.post(f"{BASE}new/", sent | {"action": "copy", "from": "first"})
    assert 'value="first copy"' in kept.content.decode()
    assert "baseline: 2" in kept.content.decode()
    with pytest.raises(ChangedMeanwhile, match="already"):
        save_configuration(described.place, "first", "baseline: 3\n", "", described.actor)


def test_a_configuration_deleted_while_it_is_saved_is_said_to_be_deleted(described: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    described.put(KEY, body=b"baseline: 1\n")
    etag = described.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    look = services._refuse_changed

    def look_and_have_it_deleted_then(*asked: Any) -> None:
        look(*asked)
        monkeypatch.undo()
        described.s3.delete_object(Bucket=BUCKET, Key=KEY)

    monkeypatch.setattr(services, "_refuse_changed", look_and_have_it_deleted_then)
    with pytest.raises(ChangedMeanwhile, match="was deleted meanwhile"):
        save_configuration(described.place, "first", "baseline: 2\n", etag, described.actor)
    assert described.keys("example-lab/configs/") == []


def test_old_versions_are_shown_compared_and_brought_back(described: Lab) -> None:
    for number in (1, 2):
        described.put(KEY, body=f"baseline: {number}\n".encode())
    old = described.s3.list_object_versions(Bucket=BUCKET, Prefix=KEY)["Versions"][-1]["VersionId"]
    page = described.client.get(f"{BASE}of/first/?version={old}").content.decode()
    assert "-baseline: 1" in page
    assert "+baseline: 2" in page
    described.client.post(f"{BASE}of/first/restore/", {"version": old})
    assert described.get(KEY) == b"baseline: 1\n"
    described.client.post(f"{BASE}of/first/delete/")
    assert described.keys("example-lab/configs/") == []
    assert "is deleted. What it held is kept for ever after that" in described.client.get(f"{BASE}of/first/").content.decode()
    described.client.post(f"{BASE}of/first/restore/", {"version": old})
    assert described.get(KEY) == b"baseline: 1\n"


def test_a_copy_starts_from_another(described: Lab) -> None:
    described.put(KEY, body=TEMPLATE.replace("1.5", "9").encode())
    page = described.client.get(f"{BASE}new/?from=first").content.decode()
    assert 'value="9"' in page
    assert 'value="first copy"' in page


def test_without_a_template_there_is_yaml(lab: Lab) -> None:
    page = lab.client.get(f"{BASE}new/").content.decode()
    assert "has no template" in page
    assert 'name="mode" value="text"' in page


def test_modes_carry_over_what_was_typed(described: Lab) -> None:
    sent = {**given(TEMPLATE, baseline="4"), "text": TEMPLATE, "mode": "form", "name": "mine", "action": "text"}
    page = described.client.post(f"{BASE}new/", sent).content.decode()
    assert "baseline: 4" in page
    back = {"text": TEMPLATE.replace("1.5", "5"), "mode": "text", "name": "mine", "action": "form"}
    page = described.client.post(f"{BASE}new/", back).content.decode()
    assert 'value="5"' in page
    assert 'value="mine"' in page


def test_a_group_that_may_only_read_sees_and_saves_nothing(aws: None) -> None:
    reading = make_lab(Grant.Level.READ_ONLY)
    reading.put(KEY, body=b"a: 1\n")
    assert "may read here" in reading.client.get(BASE).content.decode()
    answer = reading.client.post(f"{BASE}new/", {"text": "a: 2\n", "mode": "text", "name": "second"})
    assert answer.status_code == 403
    assert reading.keys("example-lab/configs/") == [KEY]


@pytest.mark.parametrize("path", ["", "new/", "of/first/"])
def test_another_group_s_are_not_there(rival: Client, path: str) -> None:
    assert rival.get(f"{BASE}{path}").status_code == 404


def test_pages_ask_little_whatever_the_number(described: Lab, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    described.put(*(f"example-lab/configs/{number}.yaml" for number in range(1000)), body=TEMPLATE.encode())
    calls: list[str] = []
    client = s3_client(described.place, Purpose.BROWSE)
    client.meta.events.register("before-send.s3", lambda request, **_: calls.append(request.url))
    for path in ("", "new/?from=7", "of/7/", "of/7/?version=null"):
        calls.clear()
        with django_assert_max_num_queries(12):
            described.client.get(f"{BASE}{path}")
        assert 0 < len(calls) <= 4, (path, calls)
