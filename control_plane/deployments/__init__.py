"""Deployments: stacks, what is wanted of each, the runs that bring it to AWS, and what is known of AWS since.

May import accounts, notifications and what lies below; tells those above by `signals`. Pages ask by `requests`, `approvals`,
`cancelling`, `previews` and `lockout_requests`, which enqueue `tasks`; `engine` and `deployers` are loaded by workers alone.
"""
