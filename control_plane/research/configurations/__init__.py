"""Configurations of a group for an analysis: reading, saving and versions in S3, and the form made from one.

No Django app: S3 holds them. May import the catalogue, storage and groups, and what lies below; jobs import it.
"""
