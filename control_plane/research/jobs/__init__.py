"""Jobs: submissions, their state as the analysis's back end reports it, and notifications about their end.

May import configurations, storage, groups and what lies below. The pages are in `web.jobs`.
"""
