"""Access on AWS: groups and their members, keys, limits, retirement, people, computers, rosters, the access review.

May import deployments and what lies below; never research or operation.
"""
