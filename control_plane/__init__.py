"""The control plane: who belongs to which group, and the engine that makes AWS agree. Never imports aws_cdk."""
