"""Members' own computers: the device sign-in, the set-up commands, and the one-time display of an access key.

Shared by the pages, the endpoints and the helper. It may import groups and accounts, and what lies below them;
neither another room beside it (keys, limits, retirement, people) nor pages.
"""
