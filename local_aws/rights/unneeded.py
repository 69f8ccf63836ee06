"""Exceptions to a schema's permissions: actions that only certain properties lead to, and those that nothing leads to.

A schema's list holds whatever the type's handler calls for any resource. Leaving an action out is only right where the template
cannot lead to it, so that each line names the properties that do, or gives the reason why none does.
"""

from local_aws.rights.changes import Change

Properties = tuple[str, ...]
Rules = dict[str, Properties | str]

NO_SUCH_ACTION = "The Service Authorization Reference has no such action; the one it stands for is listed beside it."
NO_PROPERTY = "No property of the type leads to it."

_EC2_TAGS: Rules = {"ec2:CreateTags": ("Tags",), "ec2:DeleteTags": ("Tags",)}
_BALANCER_TAGS: Rules = {
    "elasticloadbalancing:AddTags": ("Tags",),
    "elasticloadbalancing:RemoveTags": ("Tags",),
}
_WATCHED_TAGS: Rules = {"cloudwatch:TagResource": ("Tags",), "cloudwatch:UntagResource": ("Tags",)}
_METADATA = ("MetadataConfiguration", "MetadataTableConfiguration")
_TRAFFIC = ("TrafficSources",)
_FLEET = "It is for groups that AWS manages for other services, which no template makes."

# By type and action: the properties that need it, or the reason why none does.
UNNEEDED: dict[str, Rules] = {
    "AWS::AutoScaling::AutoScalingGroup": {
        "autoscaling:CreateOrUpdateTags": ("Tags",),
        "autoscaling:DeleteTags": ("Tags",),
        "autoscaling:EnableMetricsCollection": ("MetricsCollection",),
        "autoscaling:DisableMetricsCollection": ("MetricsCollection",),
        "autoscaling:PutNotificationConfiguration": ("NotificationConfiguration", "NotificationConfigurations"),
        "autoscaling:DeleteNotificationConfiguration": ("NotificationConfiguration", "NotificationConfigurations"),
        "autoscaling:AttachLoadBalancerTargetGroups": ("TargetGroupARNs",),
        "autoscaling:DetachLoadBalancerTargetGroups": ("TargetGroupARNs",),
        "autoscaling:AttachLoadBalancers": ("LoadBalancerNames",),
        "autoscaling:DetachLoadBalancers": ("LoadBalancerNames",),
        "autoscaling:AttachTrafficSources": _TRAFFIC,
        "autoscaling:DetachTrafficSources": _TRAFFIC,
        "autoscaling:PutLifecycleHook": ("LifecycleHookSpecificationList",),
        "autoscaling:DeleteLifecycleHook": ("LifecycleHookSpecificationList",),
        "autoscaling:StartInstanceRefresh": "An update policy of rolling updates replaces machines without it.",
        "autoscaling:CancelInstanceRefresh": "An update policy of rolling updates replaces machines without it.",
        "cloudwatch:PutMetricAlarm": NO_PROPERTY,
        "ec2:CreateTags": ("LaunchTemplate", "MixedInstancesPolicy"),
        "ec2:Get*": ("MixedInstancesPolicy",),
        "ec2:RunInstances": ("LaunchTemplate", "MixedInstancesPolicy"),
        "elasticloadbalancing:DescribeTargetGroups": ("TargetGroupARNs", "LoadBalancerNames"),
        "elasticloadbalancing:DescribeTargetHealth": ("TargetGroupARNs", "LoadBalancerNames"),
        "iam:PassRole": ("LaunchTemplate", "MixedInstancesPolicy"),
        "managed-fleets:Get*": _FLEET,
        "managed-fleets:CreateAutoScalingGroup": _FLEET,
        "managed-fleets:UpdateAutoScalingGroup": _FLEET,
        "managed-fleets:DeleteAutoScalingGroup": _FLEET,
        "managed-fleets:RegisterAutoScalingGroup": _FLEET,
        "managed-fleets:DeregisterAutoScalingGroup": _FLEET,
        "ssm:Get*": "It is for launch templates that name their image by a parameter; ours name it by its id.",
        "vpc-lattice:DeregisterTargets": _TRAFFIC,
        "vpc-lattice:GetTargetGroup": _TRAFFIC,
        "vpc-lattice:ListTargets": _TRAFFIC,
        "vpc-lattice:RegisterTargets": _TRAFFIC,
    },
    "AWS::Backup::BackupPlan": {
        "backup:TagResource": ("BackupPlanTags",),
        "backup:UntagResource": ("BackupPlanTags",),
        "iam:PassRole": "The role stands in the plan's selections.",
    },
    "AWS::Backup::BackupVault": {
        "backup:TagResource": ("BackupVaultTags",),
        "backup:UntagResource": ("BackupVaultTags",),
        "backup:PutBackupVaultAccessPolicy": ("AccessPolicy",),
        "backup:DeleteBackupVaultAccessPolicy": ("AccessPolicy",),
        "backup:PutBackupVaultNotifications": ("Notifications",),
        "backup:DeleteBackupVaultNotifications": ("Notifications",),
        "backup:PutBackupVaultLockConfiguration": ("LockConfiguration",),
        "backup:DeleteBackupVaultLockConfiguration": ("LockConfiguration",),
        "backup-storage:Mount": NO_SUCH_ACTION,
        "kms:CreateGrant": ("EncryptionKeyArn",),
        "kms:GenerateDataKey": ("EncryptionKeyArn",),
        "kms:Decrypt": ("EncryptionKeyArn",),
        "kms:RetireGrant": ("EncryptionKeyArn",),
        "kms:DescribeKey": ("EncryptionKeyArn",),
    },
    "AWS::CertificateManager::Certificate": {
        "acm:AddTagsToCertificate": ("Tags",),
        "acm:RemoveTagsFromCertificate": ("Tags",),
        "acm:UpdateCertificateOptions": ("CertificateExport", "CertificateTransparencyLoggingPreference"),
        "acm-pca:GetCertificate": ("CertificateAuthorityArn",),
        "acm-pca:IssueCertificate": ("CertificateAuthorityArn",),
        "route53:ChangeResourceRecordSets": ("DomainValidationOptions",),
    },
    "AWS::CloudFormation::Stack": {
        "cloudformation:SetStackPolicy": NO_PROPERTY,
        "cloudformation:TagResource": ("Tags",),
        "cloudformation:UpdateTerminationProtection": NO_PROPERTY,
    },
    "AWS::CloudWatch::Alarm": _WATCHED_TAGS,
    "AWS::CloudWatch::Dashboard": _WATCHED_TAGS,
    "AWS::EC2::EIP": {
        **_EC2_TAGS,
        "ec2:AcceptAddressTransfer": ("TransferAddress",),
        "ec2:AssociateAddress": ("InstanceId",),
        "ec2:DisassociateAddress": ("InstanceId",),
    },
    "AWS::EC2::InternetGateway": _EC2_TAGS,
    "AWS::EC2::LaunchTemplate": {
        "ec2:CreateTags": ("TagSpecifications",),
        "ec2:DeleteTags": "A template's tags go with it, and another value of them makes another template.",
    },
    "AWS::EC2::RouteTable": _EC2_TAGS,
    "AWS::EC2::SecurityGroup": {
        **_EC2_TAGS,
        "ec2:AuthorizeSecurityGroupEgress": ("SecurityGroupEgress",),
        "ec2:AuthorizeSecurityGroupIngress": ("SecurityGroupIngress",),
        "ec2:RevokeSecurityGroupEgress": ("SecurityGroupEgress",),
        "ec2:RevokeSecurityGroupIngress": ("SecurityGroupIngress",),
        "ec2:UpdateSecurityGroupRuleDescriptionsEgress": ("SecurityGroupEgress",),
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress": ("SecurityGroupIngress",),
    },
    "AWS::EC2::Subnet": {
        **_EC2_TAGS,
        "ec2:AssociateSubnetCidrBlock": ("Ipv6CidrBlock", "Ipv6CidrBlocks"),
        "ec2:DisassociateSubnetCidrBlock": ("Ipv6CidrBlock", "Ipv6CidrBlocks"),
        "ec2:ModifySubnetAttribute": (
            *("AssignIpv6AddressOnCreation", "EnableDns64", "EnableLniAtDeviceIndex", "MapPublicIpOnLaunch"),
            "PrivateDnsNameOptionsOnLaunch",
        ),
    },
    "AWS::EC2::SubnetRouteTableAssociation": {
        "ec2:ReplaceRouteTableAssociation": "A subnet that the same template makes has no association to replace.",
    },
    "AWS::EC2::VPC": {
        **_EC2_TAGS,
        "ec2:CreateVpcEncryptionControl": ("VpcEncryptionControl",),
        "ec2:ModifyVpcAttribute": ("EnableDnsHostnames", "EnableDnsSupport"),
        "ec2:ModifyVpcTenancy": ("InstanceTenancy",),
    },
    "AWS::EC2::VPCGatewayAttachment": {
        "ec2:AttachInternetGateway": ("InternetGatewayId",),
        "ec2:AttachVpnGateway": ("VpnGatewayId",),
        "ec2:DetachInternetGateway": ("InternetGatewayId",),
        "ec2:DetachVpnGateway": ("VpnGatewayId",),
    },
    "AWS::EC2::Volume": {
        **_EC2_TAGS,
        "ec2:CopyVolumes": ("SourceVolumeId",),
        "ec2:CreateSnapshot": "It is for DeletionPolicy: Snapshot; a volume of ours is kept.",
        "ec2:ModifyVolumeAttribute": ("AutoEnableIO",),
        "kms:CreateGrant": ("KmsKeyId",),
        "kms:GenerateDataKeyWithoutPlaintext": ("KmsKeyId",),
        "kms:ReEncryptFrom": ("KmsKeyId",),
        "kms:ReEncryptTo": ("KmsKeyId",),
    },
    "AWS::ElasticLoadBalancingV2::Listener": {
        **_BALANCER_TAGS,
        "cognito-idp:DescribeUserPoolClient": "It is for the action authenticate-cognito, which no listener of ours has.",
        "elasticloadbalancing:ModifyListenerAttributes": ("ListenerAttributes",),
    },
    "AWS::ElasticLoadBalancingV2::LoadBalancer": {
        **_BALANCER_TAGS,
        "ec2:DescribeIpamPools": ("Ipv4IpamPoolId",),
        "elasticloadbalancing:ModifyCapacityReservation": ("MinimumLoadBalancerCapacity",),
        "elasticloadbalancing:ModifyIpPools": ("Ipv4IpamPoolId",),
        "elasticloadbalancing:ModifyLoadBalancerAttributes": ("LoadBalancerAttributes",),
        "elasticloadbalancing:SetIpAddressType": ("IpAddressType",),
        "elasticloadbalancing:SetSecurityGroups": ("SecurityGroups",),
        "elasticloadbalancing:SetSubnets": ("SubnetMappings", "Subnets"),
    },
    "AWS::ElasticLoadBalancingV2::TargetGroup": {
        **_BALANCER_TAGS,
        "elasticloadbalancing:DeregisterTargets": ("Targets",),
        "elasticloadbalancing:ModifyTargetGroupAttributes": ("TargetGroupAttributes",),
        "elasticloadbalancing:RegisterTargets": ("Targets",),
    },
    "AWS::IAM::AccessKey": {"iam:UpdateAccessKey": ("Status",)},
    "AWS::IAM::Group": {
        "iam:AttachGroupPolicy": ("ManagedPolicyArns",),
        "iam:DeleteGroupPolicy": ("Policies",),
        "iam:DetachGroupPolicy": ("ManagedPolicyArns",),
        "iam:PutGroupPolicy": ("Policies",),
        "iam:UpdateGroup": ("Path",),
    },
    "AWS::IAM::ManagedPolicy": {
        "iam:AttachGroupPolicy": ("Groups",),
        "iam:AttachRolePolicy": ("Roles",),
        "iam:AttachUserPolicy": ("Users",),
        "iam:CreatePolicyVersion": ("PolicyDocument",),
        "iam:DetachGroupPolicy": ("Groups",),
        "iam:DetachRolePolicy": ("Roles",),
        "iam:DetachUserPolicy": ("Users",),
    },
    "AWS::IAM::Role": {
        "iam:AttachRolePolicy": ("ManagedPolicyArns",),
        "iam:DeleteRolePermissionsBoundary": ("PermissionsBoundary",),
        "iam:DeleteRolePolicy": ("Policies",),
        "iam:DetachRolePolicy": ("ManagedPolicyArns",),
        "iam:PutRolePermissionsBoundary": ("PermissionsBoundary",),
        "iam:PutRolePolicy": ("Policies",),
        "iam:TagRole": ("Tags",),
        "iam:UntagRole": ("Tags",),
        "iam:UpdateAssumeRolePolicy": ("AssumeRolePolicyDocument",),
        "iam:UpdateRole": ("Description", "MaxSessionDuration"),
        "iam:UpdateRoleDescription": ("Description",),
    },
    "AWS::IAM::User": {
        "iam:AddUserToGroup": ("Groups",),
        "iam:AttachUserPolicy": ("ManagedPolicyArns",),
        "iam:CreateLoginProfile": ("LoginProfile",),
        "iam:DeleteLoginProfile": ("LoginProfile",),
        "iam:DeleteUserPermissionsBoundary": ("PermissionsBoundary",),
        "iam:DeleteUserPolicy": ("Policies",),
        "iam:DetachUserPolicy": ("ManagedPolicyArns",),
        "iam:PutUserPermissionsBoundary": ("PermissionsBoundary",),
        "iam:PutUserPolicy": ("Policies",),
        "iam:RemoveUserFromGroup": ("Groups",),
        "iam:TagUser": ("Tags",),
        "iam:UntagUser": ("Tags",),
        "iam:UpdateLoginProfile": ("LoginProfile",),
        "iam:UpdateUser": ("Path",),
    },
    "AWS::KMS::Key": {
        "kms:DisableKey": ("Enabled",),
        "kms:DisableKeyRotation": ("EnableKeyRotation",),
        "kms:EnableKey": ("Enabled",),
        "kms:EnableKeyRotation": ("EnableKeyRotation", "RotationPeriodInDays"),
        "kms:PutKeyPolicy": ("KeyPolicy",),
        "kms:TagResource": ("Tags",),
        "kms:UntagResource": ("Tags",),
        "kms:UpdateKeyDescription": ("Description",),
    },
    "AWS::Logs::LogGroup": {
        "firehose:TagDeliveryStream": ("DataProtectionPolicy",),
        "logs:AssociateKmsKey": ("KmsKeyId",),
        "logs:CreateLogDelivery": ("DataProtectionPolicy",),
        "logs:DeleteDataProtectionPolicy": ("DataProtectionPolicy",),
        "logs:DeleteIndexPolicy": ("FieldIndexPolicies",),
        "logs:DeleteResourcePolicy": ("ResourcePolicyDocument",),
        "logs:DeleteRetentionPolicy": ("RetentionInDays",),
        "logs:DisassociateKmsKey": ("KmsKeyId",),
        "logs:PutBearerTokenAuthentication": ("BearerTokenAuthenticationEnabled",),
        "logs:PutDataProtectionPolicy": ("DataProtectionPolicy",),
        "logs:PutIndexPolicy": ("FieldIndexPolicies",),
        "logs:PutLogGroupDeletionProtection": ("DeletionProtectionEnabled",),
        "logs:PutResourcePolicy": ("ResourcePolicyDocument",),
        "logs:PutRetentionPolicy": ("RetentionInDays",),
        "logs:TagResource": ("Tags",),
        "logs:UntagResource": ("Tags",),
        "s3:REST.PUT.OBJECT": NO_SUCH_ACTION,
    },
    "AWS::S3::Bucket": {
        "iam:PassRole": ("ReplicationConfiguration",),
        "s3:CreateBucketMetadataTableConfiguration": _METADATA,
        "s3:DeleteBucketAnalyticsConfiguration": NO_SUCH_ACTION,
        "s3:DeleteBucketCors": NO_SUCH_ACTION,
        "s3:DeleteBucketEncryption": NO_SUCH_ACTION,
        "s3:DeleteBucketLifecycle": NO_SUCH_ACTION,
        "s3:DeleteBucketMetadataTableConfiguration": _METADATA,
        "s3:DeleteBucketMetricsConfiguration": NO_SUCH_ACTION,
        "s3:DeleteBucketReplication": NO_SUCH_ACTION,
        "s3:DeleteBucketWebsite": ("WebsiteConfiguration",),
        "s3:DeleteObject": "A bucket that is being made holds no object, and no property puts one there.",
        "s3:GetBucketMetadataTableConfiguration": _METADATA,
        "s3:PutAccelerateConfiguration": ("AccelerateConfiguration",),
        "s3:PutAnalyticsConfiguration": ("AnalyticsConfigurations",),
        "s3:PutBucketAbac": ("AbacStatus",),
        "s3:PutBucketAcl": ("AccessControl",),
        "s3:PutBucketCORS": ("CorsConfiguration",),
        "s3:PutBucketLogging": ("LoggingConfiguration",),
        "s3:PutBucketNotification": ("NotificationConfiguration",),
        "s3:PutBucketObjectLockConfiguration": ("ObjectLockConfiguration", "ObjectLockEnabled"),
        "s3:PutBucketOwnershipControls": ("OwnershipControls",),
        "s3:PutBucketPublicAccessBlock": ("PublicAccessBlockConfiguration",),
        "s3:PutBucketReplication": NO_SUCH_ACTION,
        "s3:PutBucketTagging": ("Tags",),
        # A bucket with Object Lock is made with versions (S3 API reference, CreateBucket, "Permissions").
        "s3:PutBucketVersioning": ("ObjectLockEnabled", "VersioningConfiguration"),
        "s3:PutBucketWebsite": ("WebsiteConfiguration",),
        "s3:PutEncryptionConfiguration": ("BucketEncryption",),
        "s3:PutIntelligentTieringConfiguration": ("IntelligentTieringConfigurations",),
        "s3:PutInventoryConfiguration": ("InventoryConfigurations",),
        "s3:PutLifecycleConfiguration": ("LifecycleConfiguration",),
        "s3:PutMetricsConfiguration": ("MetricsConfigurations",),
        "s3:PutObjectAcl": "No property of the type sets an object's ACL.",
        "s3:PutObjectLockConfiguration": NO_SUCH_ACTION,
        "s3:PutReplicationConfiguration": ("ReplicationConfiguration",),
        "s3:TagResource": ("Tags",),
        "s3:UntagResource": ("Tags",),
        "s3:UpdateBucketMetadataAnnotationTableConfiguration": _METADATA,
        "s3:UpdateBucketMetadataInventoryTableConfiguration": _METADATA,
        "s3:UpdateBucketMetadataJournalTableConfiguration": _METADATA,
        "s3tables:CreateNamespace": _METADATA,
        "s3tables:CreateTable": _METADATA,
        "s3tables:CreateTableBucket": _METADATA,
        "s3tables:GetTable": _METADATA,
        "s3tables:GetTableMetadataLocation": _METADATA,
        "s3tables:PutTableBucketPolicy": _METADATA,
        "s3tables:PutTableEncryption": _METADATA,
        "s3tables:PutTablePolicy": _METADATA,
        "s3tables:UpdateTableMetadataLocation": _METADATA,
    },
    "AWS::SNS::Subscription": {"iam:GetRole": ("SubscriptionRoleArn",), "iam:PassRole": ("SubscriptionRoleArn",)},
    "AWS::SNS::Topic": {
        "iam:GetRole": ("DeliveryStatusLogging",),
        "iam:PassRole": ("DeliveryStatusLogging",),
        "sns:PutDataProtectionPolicy": ("DataProtectionPolicy",),
        "sns:Subscribe": ("Subscription",),
        "sns:TagResource": ("Tags",),
        "sns:Unsubscribe": ("Subscription",),
        "sns:UntagResource": ("Tags",),
    },
    "AWS::SecretsManager::Secret": {
        "secretsmanager:GetRandomPassword": ("GenerateSecretString",),
        "secretsmanager:RemoveRegionsFromReplication": ("ReplicaRegions",),
        "secretsmanager:ReplicateSecretToRegions": ("ReplicaRegions",),
        "secretsmanager:TagResource": ("Tags",),
        "secretsmanager:UntagResource": ("Tags",),
    },
}

# Of what is made, no call of its own: CreateKey carries the key's policy, and KMS asks who could change it afterwards
# (KMS API reference, CreateKey, "BypassPolicyLockoutSafetyCheck"; see `local_aws._key_lockout`).
CARRIED = frozenset({("AWS::KMS::Key", "create", "kms:PutKeyPolicy")})

# Of a property that changes, no call of its own: only where the property goes. With another value, the one that puts it is called.
TAKES_AWAY = frozenset(
    {
        ("AWS::Backup::BackupVault", "backup:DeleteBackupVaultAccessPolicy"),
        ("AWS::Backup::BackupVault", "backup:DeleteBackupVaultLockConfiguration"),
        ("AWS::Backup::BackupVault", "backup:DeleteBackupVaultNotifications"),
        ("AWS::KMS::Key", "kms:DisableKeyRotation"),
        ("AWS::Logs::LogGroup", "logs:DeleteRetentionPolicy"),
    }
)


def is_needed(change: Change, action: str) -> bool:
    """Return whether this change of this resource leads to the action. A read calls the whole handler, whatever a template says."""
    if (change.kind, change.operation, action) in CARRIED:
        return False
    rule = UNNEEDED.get(change.kind, {}).get(action)
    if rule is None:
        return True
    if isinstance(rule, str):
        return False
    if change.operation == "update" and (change.kind, action) in TAKES_AWAY and any(change.properties.get(name) for name in rule):
        return False
    return change.operation == "read" or change.touches(*rule)
