"""The control plane: records of who belongs to which group, and the engine that deploys them to AWS. Never imports aws_cdk."""
