"""Stacks as the predecessor would have deployed them: `user_config_template.json` in, a template out (samples' README)."""

import re
from collections.abc import Sequence
from typing import Any

REGION = "us-east-1"


def template(*groups: tuple[str, Sequence[str], Sequence[str]], further: dict[str, Any] | None = None) -> dict[str, Any]:
    """Of these groups, each an affiliate's name, its user names and its buckets; `further` resources stand beside."""
    resources: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for affiliate, users, buckets in groups:
        word = letters(affiliate)
        resources[f"{word}usergroup"] = {
            "Type": "AWS::IAM::Group",
            "Properties": {
                "GroupName": f"{affiliate}usercentricgroup",
                "Path": f"/{word}/",
                "Policies": [{"PolicyName": f"{word}policy", "PolicyDocument": policy(affiliate, buckets)}],
            },
        }
        for user in users:
            _add_user(resources, outputs, word, user)
        resources[f"{word}addition"] = {
            "Type": "AWS::IAM::UserToGroupAddition",
            "Properties": {
                "GroupName": {"Ref": f"{word}usergroup"},
                "Users": [{"Ref": f"{word}user{letters(user)}"} for user in users],
            },
        }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources | (further or {}), "Outputs": outputs}


def policy(affiliate: str, buckets: Sequence[str]) -> dict[str, Any]:
    """A group's own folder in each bucket."""
    objects = [f"arn:aws:s3:::{bucket}/{affiliate}/*" for bucket in buckets]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": objects},
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": [f"arn:aws:s3:::{bucket}" for bucket in buckets],
                "Condition": {"StringLike": {"s3:prefix": [f"{affiliate}/*"]}},
            },
        ],
    }


def letters(name: str) -> str:
    """What may stand in a logical id or a path."""
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _add_user(resources: dict[str, Any], outputs: dict[str, Any], word: str, user: str) -> None:
    name = letters(user)
    resources[f"{word}user{name}"] = {
        "Type": "AWS::IAM::User",
        "Properties": {"UserName": f"{user}{REGION}", "Path": f"/{word}/"},
    }
    resources[f"userkey{name}"] = {
        "Type": "AWS::IAM::AccessKey",
        "Properties": {"UserName": {"Ref": f"{word}user{name}"}},
    }
    outputs[f"AccessKey{name}"] = {"Value": {"Ref": f"userkey{name}"}}
    outputs[f"SecretAccessKey{name}"] = {"Value": {"Fn::GetAtt": [f"userkey{name}", "SecretAccessKey"]}}
