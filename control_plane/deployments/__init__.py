"""Deployments: stacks, the desired state of each, the runs that bring it to AWS, and the state that AWS was seen to hold.

May import accounts, notifications and what lies below; tells those above by `signals`. Pages ask by `requests`, `approvals`,
`cancelling`, `previews` and `lockout_requests`, which enqueue `tasks`; `engine` and `deployers` are loaded by workers alone.
"""
