#!/usr/bin/env bash
# manage.py of the release in use, as the worker's user and with the site's settings: sudo cohort backup list
set -euo pipefail

cd "${COHORT_ROOT:-}/opt/cohort/current"
exec python3 -m assets.install.manage "$@"
