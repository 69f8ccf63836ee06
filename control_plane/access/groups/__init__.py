"""Groups and who is in them: members, managers, join codes, requests, suspension, ends of memberships, and each group's manifest.

May import deployments and what lies below. Whoever depends on groups (keys, limits, retirement, people) receives `signals` or
asks the services.
"""
