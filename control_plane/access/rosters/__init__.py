"""Rosters: CSV files of people and memberships, checked row by row and applied as one change for each group.

May import groups, people and what lies below. A worker applies a file that was uploaded to a page.
"""
