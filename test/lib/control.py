"""The control socket, spoken by hand (cmd/admin.h, cmd/transfer.h)."""

import os
import socket
import struct

from harness import DEADLINE

FOLDER = "IIII"   # cmd/transfer.h
MESSAGE = "QQqII"


class Peer:
    """One connection; words are its first packet."""

    def __init__(self, server, *words):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(os.path.join(server.options["run-dir"], "control"))
        self.send("\0".join(words).encode())

    def send(self, packet):
        self.sock.send(packet)

    def recv(self):
        """A packet, b"" at the end."""
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:  # its last words come next
            return self.sock.recv(65536)

    def go(self):
        assert self.recv() == b"G"
        return self

    def folder(self, name=b"INBOX", parent=0, role=b"", role_n=None):
        n = len(role) if role_n is None else role_n
        self.send(b"F" + struct.pack(FOLDER, parent, 0, 0, n) + role + name)

    def message(self, raw, size=None, folder=1, folders=1, keywords=b"",
                keywords_n=None):
        n = len(keywords) if keywords_n is None else keywords_n
        self.send(b"M" + struct.pack(
            MESSAGE, 0, len(raw) if size is None else size, 0, folders, n)
            + struct.pack("I", folder) + keywords + raw)

    def refused(self):
        """The sentence with which it ends."""
        got = self.recv()
        assert got[:1] == b"e", got
        try:
            assert self.recv() == b""
        except ConnectionResetError:
            pass
        self.sock.close()
        return got[1:].decode()
