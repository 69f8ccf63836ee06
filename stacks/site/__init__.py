"""What a site on AWS is made of beside its groups: host, network, monitoring, backups, and the roles' policies as plain data.

The account's administrator deploys it, by `site.toml` and `stacks.bootstrap`. It imports CDK, the contract and what every stack
has, never Django, the control plane or `stacks.group`; settings, policies and roles load no CDK, since `stacks.bootstrap`, the
doctor and the embedded AWS read them without it.
"""
