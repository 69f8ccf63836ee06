"""Members' own computers: their sign-in, the commands that they run, and showing a member's key, once.

What the page, the endpoint and the helper share lies here. It may import groups and accounts, and what lies below them;
neither another room beside it (keys, limits, retirement, people) nor pages.
"""
