"""The synthesizer of stacks that the worker deploys: names the role that the CDK command line uses."""

import aws_cdk as cdk

from stacks import names


def worker_synthesizer() -> cdk.DefaultStackSynthesizer:
    """Return CDK's default synthesizer with the deploy role of Cohort-Bootstrap. The site's own stacks keep CDK's own role.

    The same role looks up a stack's state. CDK has another role for that, which reads the whole account, so that the worker may not
    assume it, and the command line would warn of that each time.
    """
    role = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{names.DEPLOY_ROLE}"
    return cdk.DefaultStackSynthesizer(deploy_role_arn=role, lookup_role_arn=role)
