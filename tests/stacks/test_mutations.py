"""What was wrong on AWS once, put back one at a time: each makes a proof fail that holds of what there is.

Each runs the very check that the proof runs. The rows are those of the review of Cohort against AWS's own documents.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aws_cdk as cdk

from local_aws.rights.changes import Operation
from stacks import names
from stacks.site.assembly import add_site
from stacks.site.host_policies import READ_BUCKETS
from tests.stacks.builders import site
from tests.stacks.simulation import ACCOUNT, settings
from tests.stacks.simulation.deployed import SNAPSHOT, Account
from tests.stacks.simulation.edits import without, without_actions
from tests.stacks.simulation.model import shared_account
from tests.stacks.simulation.proofs import KEY, Actor, asked, refused, unguarded
from tests.stacks.test_no_way_up import WORKER, with_every_deploy_role
from tests.stacks.test_rights_on_resources import cloudformation, looked_at, worker
from tests.stacks.ways_up import ways_up

LIMITS, DATA, NETWORK = names.EXECUTION_NAMES
PLAIN, RESTORED = 0, 1


def refused_to(actor: Actor, account: Account, *operations: Operation) -> list[str]:
    return refused(list(asked(account, *operations)), actor)


def changed(actor: Actor, name: str, document: Mapping[str, Any]) -> Actor:
    return actor._replace(policies={**actor.policies, name: document})


def test_b1_a_key_that_whoever_makes_it_could_not_manage_is_refused() -> None:
    account = settings.home()[PLAIN]
    assert refused_to(cloudformation(account), account, "create") == []
    without_bypass = [
        replace(resource, properties={**resource.properties, "BypassPolicyLockoutSafetyCheck": False})
        if resource.kind == KEY
        else resource
        for resource in account.resources
    ]
    failures = refused_to(cloudformation(account), replace(account, resources=without_bypass), "create")
    assert {line.split(" on ")[0] for line in failures} == {f"create {KEY}: kms:PutKeyPolicy"}


def test_b3_a_nested_stack_is_refused_to_a_role_that_may_not_pass_itself() -> None:
    account = settings.home()[PLAIN]
    actor = cloudformation(account)
    failures = refused_to(changed(actor, LIMITS, without(actor.policies[LIMITS], "PassItself")), account, "create", "update")
    assert {line.partition(" {")[0].split(": ", 1)[1] for line in failures} == {f"iam:PassRole on {account.execution}"}
    assert {line.split(": ")[0] for line in failures} == {f"{name} AWS::CloudFormation::Stack" for name in ("create", "update")}


def test_b4_a_volume_from_a_snapshot_is_refused_without_a_right_on_the_snapshot() -> None:
    account = settings.home()[RESTORED]
    actor = cloudformation(account)
    assert refused_to(actor, account, "create") == []
    (failure,) = refused_to(changed(actor, NETWORK, without(actor.policies[NETWORK], "Restore")), account, "create")
    assert failure.startswith(f"create AWS::EC2::Volume: ec2:CreateVolume on arn:aws:ec2:us-east-1::snapshot/{SNAPSHOT}")


def test_h1_a_deploy_role_of_any_bootstrap_is_a_way_up_for_the_worker() -> None:
    assert ways_up(shared_account(), WORKER) == []
    found = ways_up(with_every_deploy_role(shared_account()), WORKER)
    deploy, execution = (f"role/cdk-{names.CDK_QUALIFIER}-{kind}-{ACCOUNT}-eu-west-1" for kind in ("deploy-role", "cfn-exec-role"))
    assert [way for way in found if way.endswith(f"assume {deploy} -> pass {execution} to cloudformation.amazonaws.com")]


def test_s2_what_guards_a_bucket_or_a_key_is_deleted_with_its_stack_where_it_is_not_kept_and_then_may_not_be() -> None:
    account = settings.home()[PLAIN]
    actor = cloudformation(account)
    assert refused_to(actor, account, "delete") == []
    denied = changed(actor, DATA, without_actions(actor.policies[DATA], "s3:DeleteBucketPolicy", "kms:DeleteAlias"))
    failures = refused_to(denied, account, "delete")
    assert {line.split(" on ")[0] for line in failures} == {
        "delete AWS::KMS::Alias: kms:DeleteAlias",
        "delete AWS::S3::BucketPolicy: s3:DeleteBucketPolicy",
    }
    templates = {stack.stack_name: stack.template for stack in synthesised()}
    assert [unguarded(template) for template in templates.values()] == [[], []]
    kept = templates["Cohort-Backup"]
    guards = [name for name, one in kept["Resources"].items() if one["Type"] in ("AWS::KMS::Alias", "AWS::S3::BucketPolicy")]
    for name in guards:
        plain = {key: value for key, value in kept["Resources"][name].items() if key != "DeletionPolicy"}
        assert unguarded({"Resources": {**kept["Resources"], name: plain}}) == [name]
    assert len(guards) == 3


def synthesised() -> list[Any]:
    app = cdk.App(analytics_reporting=False)
    add_site(app, site())
    return list(app.synth().stacks)


def test_s4_drift_cannot_be_detected_without_the_right_to_read_all_of_a_bucket() -> None:
    account = settings.home()[PLAIN]
    execution, looking = cloudformation(account), worker()
    assert refused(looked_at(account), looking) == []
    blind = changed(execution, DATA, without_actions(execution.policies[DATA], *READ_BUCKETS))
    blinded = changed(looking, "worker", without(looking.policies["worker"], "SeeBuckets"))
    for failures in (refused_to(blind, account, "read"), refused(looked_at(account), blinded)):
        lacking = {line.split(": ", 1)[1].split(" on ")[0] for line in failures}
        assert {"s3:GetAnalyticsConfiguration", "s3:GetReplicationConfiguration", "s3:ListTagsForResource"} <= lacking
        assert {line.split(": ")[0] for line in failures} <= {"read AWS::S3::Bucket", "read AWS::S3::BucketPolicy"}
