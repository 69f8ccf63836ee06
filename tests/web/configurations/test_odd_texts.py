"""Configurations that look like some and are none, schemas that cannot be used, and files that came by other ways."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from django.urls import reverse

from control_plane.research.catalogue.checking import check_configuration, parse_configuration
from control_plane.research.catalogue.documents import Unreadable
from control_plane.research.catalogue.models import Entry
from control_plane.research.configurations import form
from control_plane.research.configurations.services import list_configurations
from control_plane.research.configurations.services import read_configuration as read_saved
from tests.factories import EntryFactory
from tests.labs import BUCKET, Lab, aws, lab

__all__ = ["aws", "lab"]
pytestmark = pytest.mark.django_db

BASE = "/groups/example-lab/configs/ephys/"
ODD = ["a: !!bool abc\n", "a: !!int ''\n", "a: !!float abc\n", "a: 2024-13-45\n", "a: " + "[" * 3000, "a: " + "9" * 5000 + "\n"]


@pytest.mark.parametrize("text", ODD)
def test_what_only_looks_like_yaml_is_told_on_every_page(lab: Lab, text: str) -> None:
    try:
        parse_configuration(text)
    except Unreadable:
        assert check_configuration(text)
    lab.put("example-lab/configs/odd.yaml", body=text.encode())
    assert lab.client.get(f"{BASE}of/odd/").status_code == 200
    for action in ("check", "form", "save"):
        answer = lab.client.post(f"{BASE}new/", {"text": text, "mode": "form", "name": "x", "action": action})
        assert answer.status_code in (200, 302, 422)


def test_a_schema_reads_no_file_and_asks_no_host(tmp_path: Path) -> None:
    elsewhere = tmp_path / "s.json"
    elsewhere.write_text('{"type": "object", "required": ["secret"]}')
    (told,) = check_configuration("a: 1", "", json.dumps({"$ref": elsewhere.as_uri()}))
    assert told.is_warning
    assert "not in it" in told.message


@pytest.mark.parametrize("schema", ['{"$ref": "#"}', '{"properties": {"a": {"pattern": "("}}}'])
def test_a_schema_that_cannot_be_used_keeps_nobody_from_saving(schema: str) -> None:
    assert [problem.is_warning for problem in check_configuration("a: x", "", schema)] == [True]


def filled(template: str, schema: dict[str, Any], **typed: str) -> Any:
    """What a form made of these writes, by the fields' names."""
    text = json.dumps(schema)
    fields = {field.name: field for section in form.form_sections(template, template, text) for field in section.fields}
    given = {f"field-{one.id}": typed.get(name, one.value) for name, one in fields.items()}
    written = form.apply_form(template, template, text, given)
    assert check_configuration(written, template, text) == []
    return parse_configuration(written)


def test_a_choice_keeps_the_type_that_it_has() -> None:
    rules = {"properties": {"gain": {"enum": [1, 2.5, "auto", None]}}}
    assert [filled("gain: 1\n", rules, gain=typed)["gain"] for typed in ("2.5", "auto", "")] == [2.5, "auto", None]


def test_what_may_be_left_empty_can_be() -> None:
    rules = {"properties": {"count": {"type": ["integer", "null"]}, "note": {"type": ["string", "null"]}}}
    assert filled("count:\nnote: x\n", rules, count="7", note="") == {"count": 7, "note": None}
    assert filled("count: 7\nnote:\n", rules, count="", note="y") == {"count": None, "note": "y"}


def test_the_lines_of_a_list_are_of_the_type_that_the_schema_wants() -> None:
    rules = {"properties": {"names": {"type": "array", "items": {"type": "string"}}, "numbers": {"type": "array"}}}
    assert filled("names:\nnumbers:\n", rules, names="1\nyes\nx", numbers="1\nx") == {
        "names": ["1", "yes", "x"],
        "numbers": [1, "x"],
    }


@pytest.mark.parametrize("typed", ["!secret x", "[&a x, *a]", "!x {a: 1}", "[" * 3000, "x" * 101_000])
@pytest.mark.parametrize("template", ["a: [1, 2]\n", "a: {b: {c: 1}}\n"])
def test_what_is_typed_into_a_field_is_never_an_error_of_ours(lab: Lab, template: str, typed: str) -> None:
    EntryFactory.create(analysis=lab.analysis, template=template)
    (section,) = form.form_sections(template, template, "")
    sent = {"text": template, "mode": "form", "name": "x", f"field-{section.fields[0].id}": typed}
    answer = lab.client.post(f"{BASE}new/", sent)
    assert answer.status_code in (302, 422)
    if answer.status_code == 422:
        assert typed[:1000] in answer.content.decode().replace("&amp;", "&")


def test_a_template_that_changes_meanwhile_moves_no_value_to_another_field(lab: Lab) -> None:
    entry = EntryFactory.create(analysis=lab.analysis, template="low: 1\nhigh: 2\n")
    (section,) = form.form_sections(entry.template, entry.template, "")
    sent = {f"field-{field.id}": {"low": "10", "high": "20"}[field.name] for field in section.fields}
    Entry.objects.update(template="first: 0\nlow: 1\nhigh: 2\n")
    lab.client.post(f"{BASE}new/", {**sent, "text": "low: 1\nhigh: 2\n", "mode": "form", "name": "x"})
    assert parse_configuration(lab.get("example-lab/configs/x.yaml").decode()) == {"low": 10, "high": 20}


@pytest.mark.parametrize(
    "file", ["a  b.yaml", "e\u0301tude.yaml", "config (1).yaml", "x.yml", "x.yml.yaml", ".yaml", "y.yaml.yaml", "..yaml", "...yaml"]
)
def test_a_file_that_came_by_other_ways_is_itself_and_no_other(lab: Lab, file: str) -> None:
    lab.put("example-lab/configs/a b.yaml", "example-lab/configs/\u00e9tude.yaml", "example-lab/configs/y.yaml", body=b"other: 1\n")
    lab.put(f"example-lab/configs/{file}", body=b"mine: 1\n")
    (name,) = [configuration.name for configuration in list_configurations(lab.place) if configuration.key.endswith(f"/{file}")]
    assert read_saved(lab.place, name).text == "mine: 1\n"
    page = lab.client.get(BASE)
    assert page.status_code == 200
    etag = lab.s3.head_object(Bucket=BUCKET, Key=f"example-lab/configs/{file}")["ETag"]
    saved = lab.client.post(
        reverse("configurations:edit", args=("example-lab", "ephys", name)), {"text": "mine: 2\n", "mode": "text", "etag": etag}
    )
    assert saved.status_code == 302
    # As a browser goes to it.
    assert urljoin("https://cohort.example.org/", saved["Location"]).endswith(saved["Location"])
    assert lab.get(f"example-lab/configs/{file}") == b"mine: 2\n"
    assert lab.get("example-lab/configs/a b.yaml") == b"other: 1\n"
