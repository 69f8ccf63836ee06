"""The analyses that groups may ask for, requests for access to them, and their making and leaving out.

May import storage, groups and what lies below. Receives the signals of failed and cancelled deployments.
"""
