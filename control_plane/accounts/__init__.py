"""People who sign in: accounts, addresses, second factors, sign-in by an institution.

Knows no group and nothing on AWS; may import notifications and what lies below. What an account means for groups is in
`people`, the pages are in `web.accounts`.
"""
