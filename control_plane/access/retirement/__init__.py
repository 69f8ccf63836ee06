"""Retirement of groups and analyses: the survey before, the waiting period, and the cleanup of the data.

May import groups and what lies below. Receives `deployment_succeeded`; `Group.retires_at` says whether a group is being retired.
"""
