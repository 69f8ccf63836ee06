"""A group's folder in an analysis's bucket: who may use it now, sessions for one purpose, its objects, and pages about it.

It may import groups and what lies below them. Uploads, files, configurations and jobs reach S3 through it alone.
"""
