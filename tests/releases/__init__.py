"""What a release leaves behind, kept in `tests/data/release-<version>/`, and opened by every later commit.

`python -m tests.releases make` writes it, on the release's own commit and with its own code:

- `backup/`: a backup of a site in use: people in every role, groups, deployments in each state, jobs, rosters, retirements, an
  upload in flight, and in its queue one task of each kind. Its manifests are the rows of `StoredManifest`.
- `kept.json`: what people and programs keep beside it: cookies of who is signed in, a computer's tokens, and the upload.
- `migrations.json`: the release's migrations, so that a later test sees which ones are new.
- `code.tar.xz`: the release's code, to serve its pages on the newest schema and to read the newest manifests.

`test_opening` restores it with today's code and goes on where people were; `test_migrations` holds what a migration may do.
"""
