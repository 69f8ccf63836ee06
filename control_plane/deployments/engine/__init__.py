"""The engine: claims waiting deployments, carries each out as a run under a lease, and records how it ended. For workers only.

It may import all else of the deployments: the deployers below it, what looks at a stack on AWS (`cloudformation`, `drift`,
`leftovers`, `lockout`), and what it asks for in turn (`requests`, `tasks`). Nothing else of the deployments imports it: what a
task runs (`drift`, `lockout`) lies below the tasks, and so outside of it. The web process loads none of it.
"""
