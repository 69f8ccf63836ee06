"""Catalogue: analyses that groups may ask for, requests for access to them, and the making and leaving out of their buckets.

May import storage, groups and what lies below. Receives the signals of failed and cancelled deployments.
"""
