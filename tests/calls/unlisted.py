"""What the host's roles may beyond the calls of their processes, each with its reason: nothing else of it is left unexplained."""

from collections.abc import Mapping

_BOOT = "The host's boot script and agents, which are no process of the site (assets/install)."
_DRIFT = "CloudFormation reads a bucket's settings as whoever asks for drift detection."
BEYOND: Mapping[str, Mapping[str, str]] = {
    "web": {},
    "worker": {
        "cloudformation:BatchDescribeTypeConfigurations": "CloudFormation asks it in the name of whoever detects drift.",
        "cloudformation:GetStackPolicy": "The same.",
        "cloudformation:SignalResource": _BOOT,
        "ec2:AssociateAddress": _BOOT,
        "ec2:AttachVolume": _BOOT,
        "ec2:DescribeVolumes": _BOOT,
        "kms:Decrypt": "S3 asks for the backups' key in the name of whoever reads one.",
        "kms:GenerateDataKey": "The same, of whoever writes one.",
        "logs:CreateLogStream": _BOOT,
        "logs:DescribeLogStreams": _BOOT,
        "logs:PutLogEvents": _BOOT,
        "s3:Get*Configuration": _DRIFT,
        "s3:ListTagsForResource": _DRIFT,
        "ssm:GetParameter": "Which version CDK's bootstrap has: CDK asks as the role that it assumed, and as us where it has none.",
        "ssm:UpdateInstanceInformation": _BOOT,
        "ssmmessages:CreateControlChannel": _BOOT,
        "ssmmessages:CreateDataChannel": _BOOT,
        "ssmmessages:OpenControlChannel": _BOOT,
        "ssmmessages:OpenDataChannel": _BOOT,
    },
}
