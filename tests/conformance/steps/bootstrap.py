"""From an empty account to a running site: the operations' page, steps 2 and 5."""

import json
import re

from stacks import names
from stacks.site.host_policies import control_plane_statements
from tests.conformance import presence
from tests.conformance.asking import allowed
from tests.conformance.front import Front
from tests.conformance.step import Steps
from tests.conformance.tour import Tour

STEPS = Steps("Bootstrap and platform")
PRINTED = re.compile(r"cdk bootstrap (aws://\S+) \\\s+(--cloudformation-execution-policies) (\S+)")


@STEPS.step("The account has no site of Cohort", vital=True)
def empty(tour: Tour) -> None:
    found = presence.by_name(tour.target)
    assert found == [], found


@STEPS.step("`python -m stacks.bootstrap deploy` makes the policies that bound everything", vital=True)
def policies(tour: Tour) -> None:
    tour.journal.add("stack", names.BOOTSTRAP_STACK)
    said = tour.administrator.bootstrap("deploy", "--region", tour.target.region)
    printed = PRINTED.search(said)
    assert printed, said
    tour.kept["printed"] = printed.groups()
    assert presence.stack_state(tour.target, names.BOOTSTRAP_STACK) == "CREATE_COMPLETE"


@STEPS.step("A second time it changes nothing")
def policies_again(tour: Tour) -> None:
    assert "up to date" in tour.administrator.bootstrap("deploy", "--region", tour.target.region)


@STEPS.step("The `cdk bootstrap` that it prints runs as printed", vital=True)
def cdk_bootstrap(tour: Tour) -> None:
    tour.journal.add("stack", presence.CDK_STACK)
    # Without an app nothing is synthesised first, as in an empty checkout.
    tour.administrator.cdk("--app", "", "bootstrap", *tour.kept["printed"])
    assert presence.stack_state(tour.target, presence.CDK_STACK) == "CREATE_COMPLETE"


@STEPS.step("The control plane's own rights, within the host's boundary, are an IAM user's for this run", vital=True)
def operator(tour: Tour) -> None:
    target, iam = tour.target, tour.target.client("iam")
    tour.journal.add("operator", presence.OPERATOR)
    document = {"Version": "2012-10-17", "Statement": control_plane_statements(target.account, target.region)}
    policy = iam.create_policy(PolicyName=presence.OPERATOR, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    boundary = names.policy_arn(target.account, target.region, names.HOST_BOUNDARY_NAME)
    iam.create_user(UserName=presence.OPERATOR, PermissionsBoundary=boundary)
    allowed(lambda: iam.attach_user_policy(UserName=presence.OPERATOR, PolicyArn=policy), target.patience)
    key = iam.create_access_key(UserName=presence.OPERATOR)["AccessKey"]
    tour.kept["operator"] = {name: key[name] for name in ("AccessKeyId", "SecretAccessKey")}
    sts = target.client_as("sts", tour.kept["operator"])
    allowed(sts.get_caller_identity, target.patience)
    tour.let_iam_settle()
    assert allowed(sts.get_caller_identity, target.patience)["Account"] == target.account


@STEPS.step("The site starts and deploys what all groups share, with these rights", vital=True)
def start(tour: Tour) -> None:
    tour.journal.add("stack", names.PLATFORM_STACK)
    tour.front_or_none = Front(tour.var, tour.target, tour.kept["operator"])
    tour.front.start()
    assert presence.stack_state(tour.target, names.PLATFORM_STACK) == "CREATE_COMPLETE"


@STEPS.step("`manage.py platform sync` then has nothing to do")
def platform_again(tour: Tour) -> None:
    before = len(tour.front.must("deployment", "list"))
    tour.front.must("platform", "sync", "--wait")
    assert len(tour.front.must("deployment", "list")) == before
