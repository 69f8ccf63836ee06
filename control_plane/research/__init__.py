"""What researchers work with: the catalogue of analyses, storage, uploads, files, configurations, jobs.

May import access and what lies below; never operation.
"""
