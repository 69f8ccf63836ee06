"""Limits of the AWS account: what AWS allows, what we and others use, and the refusal of what would exceed one.

May import groups and what lies below. Receives `manifest_proposed`.
"""
