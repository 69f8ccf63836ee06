"""Access keys of members: their age and use, replacements that wait, and the keys that came from the predecessor.

May import groups and what lies below. Receives `pre_execute`, to remove keys that CloudFormation does not know.
"""
