"""Access review: what AWS really holds, compared with the records, and managers' sign-off.

May import catalogue, keys, groups and what lies below. `schedule` requests scans, `tasks` hands them to workers, and `scan` and
`unmanaged_removal` carry them out there.
"""
