"""The raw records, for superusers, and the commands that go across all of the control plane.

A way in: may import everything below, and nothing imports it. Workers' modules (the engine, the deployers) stay with workers.
"""
