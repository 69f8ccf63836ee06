"""Storage of a group in an analysis's bucket: the group's folder, sessions for one purpose, its objects, and pages about it.

It may import groups and what lies below them. Uploads, files, configurations and jobs reach S3 through it alone.
"""
