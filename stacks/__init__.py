"""CDK stacks of groups and of the site, and the contract with the control plane: manifest, names, limits, policies, denials.

Nothing here imports Django, the control plane or the pages. The control plane imports the contract's modules alone, none of which
loads CDK; the stacks lie above them, in `group` and `site`. `bootstrap` is the command that an account's administrator types.
"""
