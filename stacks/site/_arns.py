"""ARNs of one account and region, for the policies of CloudFormation's own role."""

from stacks import names


class Arns:
    """ARNs that the execution policies name, each by its whole name or by a prefix."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region, self.partition = account, region, names.partition(region)
        # The role that the policies are attached to.
        self.role = names.cdk_role_arn(account, region, "cfn-exec-role")

    def iam(self, *rest: str) -> list[str]:
        return [f"arn:{self.partition}:iam::{self.account}:{part}" for part in rest]

    def regional(self, service: str, *rest: str) -> list[str]:
        return [f"arn:{self.partition}:{service}:{self.region}:{self.account}:{part}" for part in rest]

    def ec2(self, *kinds: str) -> list[str]:
        return self.regional("ec2", *(f"{kind}/*" for kind in kinds))

    def ec2_shared(self, kind: str) -> str:
        """Return the ARN pattern of a kind that several accounts may share: it names no account."""
        return f"arn:{self.partition}:ec2:{self.region}::{kind}/*"

    def buckets(self, *patterns: str) -> list[str]:
        return [f"arn:{self.partition}:s3:::{pattern}" for pattern in patterns]

    def templates(self) -> list[str]:
        """Return the ARN pattern of the objects to which CDK uploads the templates of nested stacks."""
        return self.buckets(f"{names.cdk_assets(self.account, self.region)}/*")

    def service(self, name: str) -> str:
        """Return a service's principal name in IAM, such as `ec2.amazonaws.com`."""
        return f"{name}.amazonaws.com" + (".cn" if self.partition == "aws-cn" and name == "ec2" else "")
