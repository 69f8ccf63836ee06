"""Groups and their members: managers, join codes, requests, suspension, end dates of memberships, and each group's manifest.

May import deployments and what lies below. The rooms above (keys, limits, retirement, people) receive `signals` or call the
services.
"""
