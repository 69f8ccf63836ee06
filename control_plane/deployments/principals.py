"""What IAM itself says about a group's principals, beside what CloudFormation believes of them."""

import boto3

from control_plane.deployments import cloudformation


def users_under(path: str) -> set[str]:
    """The names of the IAM users under a path. Raises AwsFailure."""
    with cloudformation.explained():
        pages = boto3.client("iam").get_paginator("list_users").paginate(PathPrefix=path)
        return {user["UserName"] for page in pages for user in page["Users"]}
