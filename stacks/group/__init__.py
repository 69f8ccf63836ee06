"""Stacks that manifests describe and workers deploy: one for each research group, and those of the storage that groups share.

A synthesis of a group loads these and none of the site's. They import CDK, the contract and what every stack has: its tags,
retention and acknowledged rules; never Django, the control plane or `stacks.site`.
"""
