"""Health of the site: figures of the health page, readiness checks, Prometheus metrics, and metrics for CloudWatch.

Reads what lies below, changes none of it.
"""
