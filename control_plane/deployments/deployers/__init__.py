"""Deployers: how a published manifest becomes a deployed stack, and the only folder of the deployments that starts processes.

`port` is what the engine sees of any of them; `resident` and `cdk_cli` are the two, `synthesis` makes what both deploy, and
`toolchain` is what a worker keeps loaded of them. They lie below the engine: they may import the models and the plain data of the
deployments (`plans`, `failures`, `cloudformation`), never the engine, requests or tasks. The web process loads none of them.
"""
