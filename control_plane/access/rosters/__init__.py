"""Rosters: files of people who are to be in groups, checked row by row and applied as one change for each group.

May import groups, people and what lies below. The file is applied by a worker where it is long.
"""
