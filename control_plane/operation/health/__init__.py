"""How the site fares: the health page, `/healthz`, `/readyz`, metrics, and figures for CloudWatch.

Operation: reads what lies below, changes none of it.
"""
