"""The access review: what AWS really holds, compared with the records, and managers' sign-off.

May import catalogue, keys, groups and what lies below. `due` asks, `tasks` enqueue, `looking` and `removing` do it on workers.
"""
