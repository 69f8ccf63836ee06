"""A group's configurations for an analysis: reading, saving and versions in S3, and the form that is made from one.

No app of Django's: S3 holds them. It may import the catalogue, storage and groups, and what lies below them; jobs import it.
"""
