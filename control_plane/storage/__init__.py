"""Members' folders in S3: sessions that reach no further than one folder, listings, single objects, earlier versions.

May import groups and what lies below; knows nothing of uploads, jobs or pages.
"""
