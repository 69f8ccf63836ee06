"""People across all their groups: removing them, deleting and erasing accounts, signing out everywhere.

Accounts know nobody's groups; what ends an account and its access together is here. It may import accounts, deployments and groups,
and what lies below them; neither another room beside it (keys, limits, retirement) nor pages.
"""
