#!/usr/bin/env bash
# Install the CloudWatch agent from AWS's own bucket, if its signature is AWS's, and start it with this configuration.
#   install-cloudwatch-agent.sh <region> <configuration>
set -euo pipefail

region="$1"
configuration="$2"
# AWS's key for the agent ("Verify the signature of the CloudWatch agent package", CloudWatch user guide).
fingerprint=937616F3450B7D806CBD9725D58167303B789C72
home=/opt/aws/amazon-cloudwatch-agent
bucket="https://amazoncloudwatch-agent-${region}.s3.${region}.amazonaws.com"

if [[ ! -x "$home/bin/amazon-cloudwatch-agent-ctl" ]]; then
	folder="$(mktemp -d)"
	trap 'rm -rf "$folder"' EXIT
	cd "$folder"
	package="$bucket/ubuntu/$(dpkg --print-architecture)/latest/amazon-cloudwatch-agent.deb"
	curl --fail --silent --show-error --retry 3 --max-time 120 --output agent.deb "$package"
	curl --fail --silent --show-error --retry 3 --max-time 120 --output agent.deb.sig "$package.sig"
	curl --fail --silent --show-error --retry 3 --max-time 120 --output key.gpg "$bucket/assets/amazon-cloudwatch-agent.gpg"
	export GNUPGHOME="$folder/keys"
	mkdir --mode=0700 "$GNUPGHOME"
	gpg --batch --quiet --import key.gpg
	# Signed by that key, not merely by one in the file that came along.
	verdict="$(gpg --batch --status-fd 1 --verify agent.deb.sig agent.deb 2>/dev/null || true)"
	if [[ ! "$verdict" =~ VALIDSIG[^$'\n']*$fingerprint ]]; then
		echo "cohort: the CloudWatch agent was refused: its signature is not AWS's." >&2
		exit 1
	fi
	dpkg --install agent.deb
fi
"$home/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$configuration"
