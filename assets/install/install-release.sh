#!/usr/bin/env bash
# Put a release of Cohort into use on this host, or leave the one before in use.
#   install-release.sh --sha256 <checksum> [--zip <archive>]
# Without --zip, the release was unpacked before. Ends with 0 when the new release serves, with 1 when it does not.
set -euo pipefail
# The services read what root makes, whoever root is in this session.
umask 022

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
locks="${COHORT_ROOT:-}/run/lock"
mkdir -p "$locks"
exec 9>"$locks/cohort-install.lock"
if ! flock --nonblock 9; then
	echo "cohort: another release is being installed on this host. Nothing was changed." >&2
	exit 1
fi
cd "$here/../.."
# The lock is this script's: a service that is started must not hold it.
exec python3 -m assets.install.install "$@"
