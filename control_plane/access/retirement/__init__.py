"""Groups and analyses that end: the survey before, the waiting period, and what becomes of the data.

May import groups and what lies below. Receives `deployment_succeeded`; whether a group is being retired stands on the group
itself.
"""
