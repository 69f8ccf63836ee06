"""The move from the predecessor: importing its users and adopting its stacks.

A way in: may import everything below, and nothing imports it, so that it can be deleted in one piece.
"""
