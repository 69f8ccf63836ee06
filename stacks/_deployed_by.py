"""Which role the CDK command line deploys a stack with."""

import aws_cdk as cdk

from stacks import names


def deployed_by_the_worker() -> cdk.DefaultStackSynthesizer:
    """CDK's own way, by the role of Cohort-Bootstrap. The stacks that hold the site itself keep to CDK's own role.

    The same role looks up what a stack is. CDK has another for that, which reads the whole account, so that the worker may not take
    it, and the command line would warn of that each time.
    """
    role = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{names.DEPLOY_ROLE}"
    return cdk.DefaultStackSynthesizer(deploy_role_arn=role, lookup_role_arn=role)
