"""The embedded AWS of one machine: ministack, with IAM enforced, on loopback alone. Nothing on a production host needs it."""
