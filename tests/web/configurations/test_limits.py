"""Configurations that are more than a form or than is taken: saved as text, shown as text, deleted, and submitted unchanged."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml as pyyaml
from ruamel.yaml import YAML

from control_plane.research.catalogue.documents import MAX_BYTES
from control_plane.research.configurations import form
from control_plane.research.configurations.editing import MAX_FORM_VALUES
from control_plane.research.jobs.models import Job
from tests.factories import EntryFactory
from tests.labs import BUCKET, Lab, aws, lab
from web.configurations.views import _difference

__all__ = ["aws", "lab"]
pytestmark = pytest.mark.django_db

BASE = "/groups/example-lab/configs/ephys/"
KEY = "example-lab/configs/heavy.yaml"
LIST = "a: [" + ", ".join(f"{number}.5" for number in range(20_000)) + "]\n"
HEAVY = [
    ("a: [" + "1," * 100_001 + "1]\n").encode(),
    ("a: 0x" + "f" * 90_000 + "\n").encode(),
    ("%YAML 1.1\n---\na: 1" + ":59" * 20_000 + "\n").encode(),
    ("a: " + "[" * 20_000).encode(),
    b"a: " + b"x" * MAX_BYTES,
    b"a: \xff\xfe\n",
]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What libyaml was made to read."""
    seen: list[Any] = []
    parse = pyyaml.parse

    def counted(*asked: Any, **how: Any) -> Iterator[Any]:
        for event in parse(*asked, **how):
            seen.append(event)
            yield event

    monkeypatch.setattr(pyyaml, "parse", counted)
    return seen


def test_a_list_of_twenty_thousand_numbers_is_saved_and_edited_as_text(lab: Lab, events: list[Any]) -> None:
    saved = lab.client.post(f"{BASE}new/", {"text": LIST, "mode": "text", "name": "heavy"})
    assert saved.status_code == 302
    assert lab.get(KEY).decode() == LIST
    events.clear()
    page = lab.client.get(f"{BASE}of/heavy/").content.decode()
    assert 'name="mode" value="text"' in page
    assert "19999.5" in page
    assert len(events) < 2 * MAX_FORM_VALUES
    etag = lab.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    changed = lab.client.post(f"{BASE}of/heavy/", {"text": LIST + "b: 1\n", "mode": "text", "etag": etag})
    assert changed.status_code == 302
    assert lab.get(KEY).decode() == LIST + "b: 1\n"


def test_twenty_thousand_lines_can_be_put_into_a_field(lab: Lab) -> None:
    template = "a: [1, 2]\n"
    EntryFactory.create(analysis=lab.analysis, template=template)
    (section,) = form.form_sections(template, template, "")
    typed = "\n".join(["0.10", "on", "x", *map(str, range(20_000))])
    sent = {"text": template, "mode": "form", "name": "heavy", f"field-{section.fields[0].id}": typed}
    assert lab.client.post(f"{BASE}new/", sent).status_code == 302
    saved = lab.get(KEY).decode()
    assert saved.startswith("a:\n- 0.10\n- 'on'\n- x\n- 0\n")
    assert pyyaml.safe_load(saved) == {"a": [0.1, "on", "x", *range(20_000)]}


@pytest.mark.parametrize("body", HEAVY)
def test_what_lies_there_and_is_too_much_is_shown_as_text_submitted_unchanged_and_deleted(
    lab: Lab, events: list[Any], body: bytes
) -> None:
    lab.put(KEY, body=body)
    lab.put("example-lab/inputs/a")
    page = lab.client.get(f"{BASE}of/heavy/")
    assert page.status_code == 200
    assert body[:10].decode(errors="replace").strip() in page.content.decode()
    assert "Delete this configuration" in page.content.decode()
    assert len(events) < 2 * MAX_FORM_VALUES
    chosen = {"basket": '["example-lab/inputs/a"]', "config": "heavy", "token": "t"}
    summary = lab.client.post("/groups/example-lab/jobs/ephys/new/", {**chosen, "review": "1"}).content.decode()
    assert "not checked" in summary
    assert ">Submit</button>" in summary
    lab.client.post("/groups/example-lab/jobs/ephys/submit/", chosen)
    assert Job.objects.get().config_key == KEY
    assert lab.get(KEY) == body
    lab.client.post(f"{BASE}of/heavy/delete/")
    assert lab.keys("example-lab/configs/") == []


@pytest.mark.parametrize("body", HEAVY[:5])
@pytest.mark.parametrize("mode", ["text", "form"])
def test_what_is_too_much_is_refused_before_it_is_saved_and_not_lost(lab: Lab, body: bytes, mode: str) -> None:
    answer = lab.client.post(f"{BASE}new/", {"text": body.decode(), "mode": mode, "name": "heavy"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "more than" in page or "deeper than" in page
    assert body.decode().strip() in page
    assert lab.keys() == []


@pytest.mark.parametrize(
    ("template", "typed", "says"),
    [
        ("a: [1, 2]\n", "1\n" * 100_001, "more than 100,000 lines"),
        ("a: 1\n", "9" * 401, "at most 400 digits"),
        ("a: {b: {c: 1}}\n", "{x: 0x" + "f" * 500 + "}", "more than 400 digits"),
    ],
)
def test_what_is_too_much_for_a_field_is_refused_and_not_lost(lab: Lab, template: str, typed: str, says: str) -> None:
    EntryFactory.create(analysis=lab.analysis, template=template)
    (section,) = form.form_sections(template, template, "")
    answer = lab.client.post(f"{BASE}new/", {"text": template, "mode": "form", "name": "x", f"field-{section.fields[0].id}": typed})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert typed[:300].split("\n")[0] in answer.content.decode()
    assert lab.keys() == []


TYPED = {"title": "12:30:00", "leave_out": "on\n1:30\n7\n0.10"}


def test_text_that_is_typed_into_a_form_is_text_to_every_reader(lab: Lab) -> None:
    template = "title: x\nleave_out:\n  - a\nsmall: 0.5\ndeep: {a: {b: 1}}\n"
    EntryFactory.create(analysis=lab.analysis, template=template)
    typed = TYPED | {"small": "1e-7", "deep": "{a: {on: [no, 0777]}}"}
    fields = {field.name: field.id for section in form.form_sections(template, template, "") for field in section.fields}
    sent = {f"field-{fields[name]}": value for name, value in typed.items()}
    assert lab.client.post(f"{BASE}new/", {**sent, "text": template, "mode": "form", "name": "heavy"}).status_code == 302
    saved = lab.get(KEY).decode()
    wanted = {"title": "12:30:00", "leave_out": ["on", "1:30", 7, 0.1], "small": 1e-7, "deep": {"a": {"on": ["no", 777]}}}
    assert pyyaml.safe_load(saved) == wanted
    assert YAML(typ="safe", pure=True).load(saved) == wanted


def test_what_was_saved_before_is_not_rewritten_by_opening_it_and_saving_says_what_it_rewrites(lab: Lab) -> None:
    old = "title: 12:30:00\nleave_out: [on, 1:30]\n"
    lab.put(KEY, body=old.encode())
    page = lab.client.get(f"{BASE}of/heavy/").content.decode()
    assert "12:30:00" in page
    assert lab.get(KEY).decode() == old
    etag = lab.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    answer = lab.client.post(f"{BASE}of/heavy/", {"text": old, "mode": "text", "etag": etag}, follow=True)
    assert "12:30:00 as &#x27;12:30:00&#x27; (line 1)" in answer.content.decode()
    assert pyyaml.safe_load(lab.get(KEY)) == {"title": "12:30:00", "leave_out": ["on", "1:30"]}
    version = lab.s3.list_object_versions(Bucket=BUCKET, Prefix=KEY)["Versions"][-1]["VersionId"]
    lab.client.post(f"{BASE}of/heavy/restore/", {"version": version})
    assert lab.get(KEY).decode() == old


def test_what_stands_at_several_places_is_edited_as_text(lab: Lab) -> None:
    text = "base: &b {gain: 1}\nrun:\n  <<: *b\n  rate: on\n"
    assert lab.client.post(f"{BASE}new/", {"text": text, "mode": "text", "name": "heavy"}).status_code == 302
    assert lab.get(KEY).decode() == text.replace("on\n", "'on'\n")
    assert 'name="mode" value="text"' in lab.client.get(f"{BASE}of/heavy/").content.decode()


def test_texts_are_compared_where_they_differ_and_told_where_that_is_too_much() -> None:
    many = [f"- {number}" for number in range(24_000)]
    changed = [*many[:20_000], "- x", *many[20_001:]]
    assert _difference("\n".join(many), "\n".join(changed), "a", "b") == [
        ("place", "@@ -19999,5 +19999,5 @@"),
        ("same", " - 19998"),
        ("same", " - 19999"),
        ("removed", "-- 20000"),
        ("added", "+- x"),
        ("same", " - 20001"),
        ("same", " - 20002"),
    ]
    ((kind, told),) = _difference("\n".join(many), "\n".join(reversed(many)), "a", "b")
    assert (kind, "more lines than are compared" in told) == ("place", True)
    assert _difference("a\nb", "a\nb", "a", "b") == []
