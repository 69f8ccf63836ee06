"""Texts of configurations: that readers of YAML 1.1 and 1.2 take them alike, and limits that hold before anything is built."""

import json
import math
from datetime import date
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scalarbool import ScalarBoolean

from control_plane.research.catalogue import documents
from control_plane.research.catalogue.checking import check_configuration, check_stored_configuration, parse_configuration
from control_plane.research.catalogue.documents import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    OverLimit,
    Unreadable,
    compose,
    portable_text,
)

SCALARS = [
    "on",
    "off",
    "no",
    "yes",
    "y",
    "n",
    "Y",
    "true",
    "TRUE",
    "tRue",
    "12:30:00",
    "1:30",
    "1:30.5",
    "010",
    "08",
    "0o17",
    "0x1F",
    "-0x1F",
    "0b11",
    "1_000",
    "1e5",
    "1e-7",
    "1.5e3",
    "1.5e+3",
    ".5",
    "-.5",
    "+.5",
    "5.",
    ".inf",
    "-.inf",
    "+.inf",
    ".nan",
    "+.nan",
    "~",
    "null",
    "2024-01-01",
    "2024-1-1",
    "2001-12-14T21:59:43.10-05:00",
    "=",
    "<<",
    "0x_",
    "0_",
    "+_",
    "-_",
    "._5",
    "1__0",
    "007",
    "-0",
    "+1",
    "1.0",
    "0.10",
    "190:20:30",
    ".5e3",
    "0.",
    "1._",
    "0b_",
    "0:30",
    "1:60",
    "1.2.3",
    "0777",
    "-010",
    "NO",
    "Off",
    "NULL",
    "abc",
]


def letters(value: Any) -> str:
    """A value by which two readers can be compared: a number that is none equals nothing."""
    if isinstance(value, ScalarBoolean):
        return str(bool(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"float {float(value)!r}"
    return f"{int(value)}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("text", ["a: {0}\n", "a: [x, {0}]\n", "a: {{b: {0} }}\n", "- &a {0}\n- *a\n"])
def test_what_is_saved_is_the_same_to_pyyaml_and_to_ruamel(text: str, scalar: str) -> None:
    written, _ = portable_text(text.format(scalar))
    root = compose(written).root
    assert root is not None
    theirs = [letters(leaf(reader(written))) for reader in (pyyaml.safe_load, YAML(typ="rt", pure=True).load)]
    assert theirs[0] == theirs[1]
    assert letters(leaf(documents.json_value(root))) == theirs[0]


def leaf(value: Any) -> Any:
    while isinstance(value, (dict, list)):
        value = list(value.values())[-1] if isinstance(value, dict) else value[-1]
    return value


@pytest.mark.parametrize("name", ["on", "no", "1:30", "010", "y", "~"])
def test_names_are_the_same_to_every_reader(name: str) -> None:
    written, _ = portable_text(f"{name}: 1\n")
    assert {str(key).lower() for key in pyyaml.safe_load(written)} == {str(key).lower() for key in YAML().load(written)}


@given(st.text(alphabet="0123456789.:_-+eExobnyOf ~=<", max_size=9))
def test_any_scalar_means_the_same_to_both_once_it_is_written(scalar: str) -> None:
    try:
        written, _ = portable_text(f"a: {scalar}\n")
    except Unreadable:
        return
    assert letters(leaf(pyyaml.safe_load(written))) == letters(leaf(YAML(typ="rt", pure=True).load(written)))


def test_all_but_what_readers_differ_on_stays_to_the_letter() -> None:
    text = "# on\na: {on: no, x: [1.50, 'yes', \"on\"]}  # 1:30\nb: |\n  off\nc: é 12:30:00\nd: 12:30:00 # off\n"
    written, told = portable_text(text)
    assert written == text.replace("{on: no,", "{'on': 'no',").replace("d: 12:30:00", "d: '12:30:00'")
    assert [(problem.was, problem.written, problem.line) for problem in told] == [
        ("on", "'on'", 2),
        ("no", "'no'", 2),
        ("12:30:00", "'12:30:00'", 6),
    ]


def test_a_document_of_yaml_1_1_keeps_its_meaning() -> None:
    written, _ = portable_text("%YAML 1.1\n---\na: on\nb: 1:30\nc: 010\n")
    assert written == "%YAML 1.1\n---\na: true\nb: 90\nc: 8\n"


def test_anchors_aliases_and_merge_keys_are_read() -> None:
    text = "base: &b {gain: 1, rate: 2}\nmore: &m {rate: 3, late: 4}\nrun:\n  <<: [*b, *m]\n  gain: 9\nlist: [*b]\n"
    assert parse_configuration(text)["run"] == {"gain": 9, "rate": 2, "late": 4}
    assert parse_configuration(text) == pyyaml.safe_load(text)
    (told,) = check_configuration(text, "", json.dumps({"properties": {"run": {"properties": {"rate": {"type": "string"}}}}}))
    assert (told.field, told.is_warning) == ("run.rate", False)


HEAVY = {
    "values": "a: [" + "1," * MAX_NODES + "]\n",
    "lines": "a:\n" + "- 1\n" * (MAX_NODES + 1),
    "depth": "a: " + "[" * 100_000,
    "depth by aliases": "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, MAX_DEPTH + 1)),
    "hexadecimal": "a: 0x" + "f" * 90_000 + "\n",
    "base 60": "%YAML 1.1\n---\na: 1" + ":59" * 20_000 + "\n",
    "base 60 in 1.2": "a: 1" + ":59" * 20_000 + "\n",
    "tagged": "a: !!int " + "9" * 5000 + "\n",
    "aliases": "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
    "merge keys": "a: &a {" + ",".join(f"k{n}: 1" for n in range(1000)) + "}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(99)),
    "letters by aliases": "a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 20) + "]\n",
    "bytes": "a: " + "x" * MAX_BYTES + "\n",
}


@pytest.mark.parametrize("kind", HEAVY)
def test_what_is_more_than_is_taken_is_refused_and_only_a_warning_where_it_is_stored_already(kind: str) -> None:
    with pytest.raises(OverLimit, match=r"more than|deeper than"):
        compose(HEAVY[kind])
    (told,) = check_stored_configuration(HEAVY[kind])
    assert told.is_warning
    assert "not checked" in told.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]\n", "within what it stands for"),
        ("a: *b\n", "stands for nothing"),
        ("a: &x 1\nb: &x 2\n", "given twice"),
        ("a: {<<: 1}\n", "`<<`"),
        ("a: 1\n---\nb: 1\n", "more than one document"),
        ("? [a]\n: 1\n", "single values"),
        ("a: 1e999\n", "no date or number"),
        ("a: !!int 010\n", "does not fit"),
        ("0x10: 1\n16: 2\n", "given twice"),
    ],
)
def test_what_readers_would_fall_over_is_told(text: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        portable_text(text)


def test_twenty_thousand_numbers_are_taken_and_checked_each() -> None:
    text = "a: [" + ", ".join(f"{number}.5" for number in range(20_000)) + ", x]\n"
    (told,) = check_configuration(text, "", json.dumps({"properties": {"a": {"items": {"type": "number"}, "uniqueItems": True}}}))
    assert told.field == "a[20000]"


@pytest.mark.parametrize(
    "schema", ['{"not": ' * 100_000, '{"properties": {"a": {"multipleOf": 0.1}}}', '{"maximum": ' + "9" * 5000 + "}"]
)
def test_a_schema_that_cannot_be_used_on_it_is_a_warning(schema: str) -> None:
    assert [problem.is_warning for problem in check_configuration("a: " + "9" * 400 + "\n", "", schema)] == [True]


@pytest.mark.parametrize(("items", "is_wrong"), [("[1, 1.0]", True), ("[1, true, '1', a]", False), ("[{a: 1}, {a: 1}]", True)])
def test_items_that_have_to_differ_do_as_json_schema_says(items: str, is_wrong: bool) -> None:
    assert bool(check_configuration(f"a: {items}\n", "", '{"properties": {"a": {"uniqueItems": true}}}')) is is_wrong
