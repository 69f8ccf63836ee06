"""Every call of every resource of every stack, in each of its forms, is asked on all that it touches, and allowed there."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from local_aws.rights import actions, unneeded
from stacks import bootstrap
from stacks.site import host_policies
from stacks.site.execution import execution_policies
from tests.stacks.builders import site
from tests.stacks.simulation import ACCOUNT, reference, settings, sources
from tests.stacks.simulation.deployed import SNAPSHOT, Account
from tests.stacks.simulation.proofs import OPERATIONS, Actor, Asked, asked, missed, refused, unknown_keys

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rights.md"
# What the worker compares with AWS: it looks for drift in these alone.
LOOKED_AT = ("Group-", "Cohort-Storage")


def cloudformation(account: Account) -> Actor:
    """CloudFormation by the role that CDK's bootstrap has, with our policies."""
    return Actor(account.execution, execution_policies(ACCOUNT, account.region, settings.PATTERNS))


def worker(region: str = settings.HOME) -> Actor:
    """The worker, within the host's boundary."""
    return Actor(
        f"arn:aws:iam::{ACCOUNT}:role/cohort-host/cohort-host",
        {"worker": host_policies.worker_policy(site(region=region))},
        bootstrap.host_boundary(ACCOUNT, region),
    )


def everything(accounts: Sequence[Account]) -> list[Asked]:
    return [question for account in accounts for question in asked(account, *OPERATIONS)]


def looked_at(account: Account) -> list[Asked]:
    return [question for question in asked(account, "read") if question.change.stack.startswith(LOOKED_AT)]


def test_each_form_of_the_site_makes_what_only_it_needs() -> None:
    """The settings reach what differs: otherwise the proofs below would hold of less than there is."""
    plain, more, given = (
        {(question.call.action, question.call.resource.split(":")[-1]) for question in everything([account])}
        for account in settings.home()
    )
    assert ("ec2:AllocateAddress", "elastic-ip/*") in plain - more
    assert ("ec2:CreateVolume", f"snapshot/{SNAPSHOT}") in more - plain
    assert ("acm:RequestCertificate", "*") in more - given
    assert {action for action, _ in given - plain} >= {
        "elasticloadbalancing:CreateListener",
        "autoscaling:AttachLoadBalancerTargetGroups",
    }
    assert {"cloudformation:CreateStack", "iam:UpdateAccessKey", "iam:PutUserPolicy", "iam:PutGroupPolicy"} <= {
        action for action, _ in plain
    }


def test_each_action_is_asked_on_every_resource_that_it_requires() -> None:
    """Service Authorization Reference, "Resource types (*required)"."""
    assert [fault for account in (*settings.home(), *settings.elsewhere()) for fault in missed(account)] == []


def test_each_condition_key_of_a_call_is_one_that_its_action_knows() -> None:
    """Service Authorization Reference, "Condition keys": a statement that waits for another one never matches."""
    assert unknown_keys(everything(settings.home())) == []


def test_cloudformation_may_do_all_that_a_template_of_ours_can_lead_to() -> None:
    questions = everything(settings.home())
    assert refused(questions, cloudformation(settings.home()[0])) == []
    assert {question.change.operation for question in questions} == set(OPERATIONS)


@pytest.mark.parametrize("number", range(len(settings.ELSEWHERE)))
def test_cloudformation_may_do_the_same_in_other_parts_of_aws(number: int) -> None:
    account = settings.elsewhere()[number]
    assert refused(everything([account]), cloudformation(account)) == []


def test_the_worker_may_read_all_that_it_looks_for_drift_in() -> None:
    """CloudFormation user guide, "Detecting drift": each type's whole read handler, as whoever asks."""
    questions = looked_at(settings.home()[0])
    assert refused(questions, worker()) == []
    assert {"s3:GetReplicationConfiguration", "iam:GetUserPolicy", "secretsmanager:DescribeSecret"} <= {
        question.call.action for question in questions
    }


def test_the_service_authorization_reference_knows_each_action_and_none_that_is_left_out_as_no_action() -> None:
    """The schemas name some actions that do not exist; each is left out for that reason, and no other is."""
    rules = {(kind, action): rule for kind, held in unneeded.UNNEEDED.items() for action, rule in held.items()}
    assert {of for of, rule in rules.items() if rule == unneeded.NO_SUCH_ACTION and reference.find(of[1])} == set()
    of_ours = {resource.kind for account in settings.home() for resource in account.resources}
    listed = {action for kind in of_ours for operation in OPERATIONS for action in actions.listed_actions(kind, operation)}
    unknown = {action for action in listed if "*" not in action and reference.find(action) is None}
    fleets = {action for action in unknown if action.startswith("managed-fleets:")}
    assert unknown - fleets <= {action for (_, action), rule in rules.items() if rule == unneeded.NO_SUCH_ACTION}
    # A service without a page there.
    assert {rule for (_, action), rule in rules.items() if action in fleets} == {unneeded._FLEET}


def test_the_page_of_rights_says_what_the_sources_say() -> None:
    """Written by `python -m tests.stacks.simulation.sources > docs/rights.md`."""
    assert PAGE.read_text() == sources.page()
    called = {question.call.action for question in everything(settings.home())}
    assert sources.RECORDED.keys() <= called
