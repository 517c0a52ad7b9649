"""What fault tests share beside fault.py."""

import os
import shutil
import tempfile

import pytest

ROOM = 2 << 30  # bytes: 9,000 accounts


@pytest.fixture(scope="module")
def fast_dir():
    """In memory, where there is enough: thousands of commits in seconds."""
    shm = "/dev/shm"
    if not os.path.isdir(shm) or shutil.disk_usage(shm).free < ROOM:
        shm = None
    d = tempfile.mkdtemp(prefix="jmapd-fault-", dir=shm)
    os.chmod(d, 0o755)
    yield d
    shutil.rmtree(d, True)
