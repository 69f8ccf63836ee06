"""A relay in front of S3, in a process of its own: a far and narrow line for whoever sends through it.

Bytes go on as they came, in both directions: signatures cover the Host header, and `Expect: 100-continue` is answered by S3
itself, one round trip later. The relay reads along, to tell heads from bodies. What a line does and this one does not: TLS,
TCP's slow start, and what TCP waits after a loss.
"""
