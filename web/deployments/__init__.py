"""Pages of deployments, stacks and previews, for administrators: thin, over the requests of `deployments`.

It may import deployments, groups and what lies below them; neither the engine that carries them out nor another package of pages.
"""
