"""CDK stacks and the group manifest, the one contract with the control plane. Nothing here imports Django."""
