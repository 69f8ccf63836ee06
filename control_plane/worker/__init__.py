"""Worker: its loop, and the one list of periodic steps.

It may import everything but the other ways in and the pages; nothing imports it but its own commands.
"""
