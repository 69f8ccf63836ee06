"""Which role the CDK command line deploys a stack with."""

import aws_cdk as cdk

from stacks import names


def deployed_by_the_worker() -> cdk.DefaultStackSynthesizer:
    """CDK's own way, by the role of Cohort-Bootstrap. The stacks that hold the site itself keep to CDK's own role."""
    return cdk.DefaultStackSynthesizer(deploy_role_arn=f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{names.DEPLOY_ROLE}")
