"""`python -m tests.real [OPTION…]`: run the tests that need a real client, where nothing but the loopback can be reached.

Options are pytest's. The client is what `HOLDFAST_TEST_CLAUDE` names, else the one that `make real-clients` puts below `build/`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from tests.real.claude import BINARY

_INSIDE = "--inside"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h


def main() -> None:
    if _INSIDE in sys.argv[1:2]:
        _raise_loopback()
        _name_client()
        os.execv(sys.executable, [sys.executable, "-m", "pytest", "tests/real", *sys.argv[2:]])
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("there is no `unshare` (util-linux): a real client runs only where it reaches nothing")
    inside = [sys.executable, "-m", "tests.real", _INSIDE, *sys.argv[1:]]
    os.execv(unshare, [unshare, "--map-root-user", "--net", "--", *inside])


def _name_client() -> None:
    """Say which client is tried; a home of its own keeps it from the user's."""
    if BINARY is not None:
        with tempfile.TemporaryDirectory() as home:
            environment = {"PATH": os.environ["PATH"], "HOME": home, "CLAUDE_CONFIG_DIR": home}
            subprocess.run([str(BINARY), "--version"], env=environment, check=True)


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        flags = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        up = struct.unpack("16sh14x", flags)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", up))


main()
