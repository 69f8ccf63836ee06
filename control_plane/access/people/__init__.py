"""People across all their groups: removing them, deleting and erasing accounts, signing out everywhere.

Accounts do not know groups; operations that end an account together with its access are here. May import accounts, deployments
and groups, and what lies below them; neither another room beside it (keys, limits, retirement) nor pages.
"""
