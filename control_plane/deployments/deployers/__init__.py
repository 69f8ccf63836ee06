"""Deployers: turn a published manifest into a deployed stack. The only folder of the deployments that starts processes.

`port` is the interface that the engine uses; `resident` and `cdk_cli` implement it, `synthesis` makes the assemblies that both
deploy, and `toolchain` is what a worker keeps loaded of them. They lie below the engine: they may import the models and the plain
data of the deployments (`plans`, `failures`, `cloudformation`), never the engine, requests or tasks. The web process loads none
of them.
"""
