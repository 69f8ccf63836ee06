"""The pages of a person's own account, and the forms of allauth's pages: thin, over the services of accounts and people.

It may import those, groups and what lies below them; no other package of pages.
"""
