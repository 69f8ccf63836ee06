"""What becomes of the predecessor's template: resources leave it and stay on AWS, and what remains still fits together."""

from typing import Any

import pytest

from control_plane.neurocaas_import.adopt_template import (
    UnknownReference,
    is_retained,
    references,
    retain,
    secret_outputs,
    without_resources,
)
from tests.predecessor import template

NORTH = {"northusergroup": "northusercentricgroup", "northusercho": "chous-east-1", "userkeycho": "AKIA1", "northaddition": "x"}


def two_groups(**further: object) -> dict[str, Any]:
    return template(("north", ["cho"], ["b"]), ("south", ["dee"], ["b"]), further=further)


def test_what_leaves_is_kept_and_told_apart_by_metadata_which_cloudformation_takes_as_a_change() -> None:
    before = two_groups()
    kept = retain(before, NORTH, "moves")
    for name in NORTH:
        assert kept["Resources"][name]["DeletionPolicy"] == kept["Resources"][name]["UpdateReplacePolicy"] == "Retain"
        assert kept["Resources"][name]["Metadata"]["Cohort"] == "moves"
        assert kept["Resources"][name]["Properties"] == before["Resources"][name]["Properties"]
    assert kept["Resources"]["southusergroup"] == before["Resources"]["southusergroup"]
    assert is_retained(kept, NORTH)
    assert not is_retained(before, NORTH)


def test_secret_keys_and_passwords_go_from_the_outputs_and_key_ids_stay() -> None:
    before = two_groups()
    before["Outputs"]["Passwordcho"] = {"Value": "26d5b22b"}
    before["Outputs"]["Sly"] = {"Value": {"Fn::Sub": "x${userkeycho.SecretAccessKey}"}}
    before["Outputs"]["Short"] = {"Value": {"Fn::Join": ["", [{"Fn::GetAtt": "userkeycho.SecretAccessKey"}]]}}
    assert secret_outputs(before) == ["Passwordcho", "SecretAccessKeycho", "SecretAccessKeydee", "Short", "Sly"]
    assert set(retain(before, NORTH, "moves")["Outputs"]) == {"AccessKeycho", "AccessKeydee"}


def test_what_remains_has_no_word_of_what_left() -> None:
    remaining = without_resources(two_groups(), NORTH)
    assert remaining is not None
    assert set(remaining["Resources"]) == {"southusergroup", "southuserdee", "userkeydee", "southaddition"}
    assert set(remaining["Outputs"]) == {"AccessKeydee", "SecretAccessKeydee"}


def test_nothing_remains_where_all_leaves() -> None:
    assert without_resources(template(("north", ["cho"], ["b"])), NORTH) is None


def test_what_stays_names_what_left_by_its_name() -> None:
    topic = {
        "Type": "AWS::SNS::Topic",
        "DependsOn": ["northusergroup", "southusergroup"],
        "Properties": {"TopicName": "t", "DisplayName": {"Fn::Join": ["-", [{"Ref": "northusercho"}, "x"]]}},
    }
    remaining = without_resources(two_groups(Topic=topic), NORTH)
    assert remaining is not None
    assert remaining["Resources"]["Topic"]["Properties"]["DisplayName"] == {"Fn::Join": ["-", ["chous-east-1", "x"]]}
    assert remaining["Resources"]["Topic"]["DependsOn"] == ["southusergroup"]


@pytest.mark.parametrize(
    "value", [{"Fn::GetAtt": ["northusercho", "Arn"]}, {"Fn::GetAtt": "northusercho.Arn"}, {"Fn::Sub": "${northusercho.Arn}"}]
)
def test_what_cannot_be_put_differently_is_refused(value: object) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    with pytest.raises(UnknownReference, match="Topic, which stays, refers to northusercho"):
        without_resources(two_groups(Topic=topic), NORTH)


def test_references_are_found_wherever_they_are() -> None:
    part = {"a": [{"Ref": "A"}], "b": {"Fn::GetAtt": ["B", "Arn"]}, "c": {"Fn::Sub": ["${C}-${!D}-${E.F}", {"x": {"Ref": "G"}}]}}
    assert references(part) == {"A", "B", "C", "E", "G"}
