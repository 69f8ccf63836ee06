"""Access keys of members: their age and use, replaced keys that are about to end, and keys adopted from the predecessor.

May import groups and what lies below. Receives `pre_execute`, to remove keys that CloudFormation does not know.
"""
