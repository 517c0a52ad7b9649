"""What fault tests share beside fault.py."""

import os
import shutil
import tempfile

import pytest


@pytest.fixture(scope="module")
def fast_dir():
    """In memory: thousands of commits in seconds."""
    d = tempfile.mkdtemp(prefix="jmapd-fault-", dir="/dev/shm")
    os.chmod(d, 0o755)
    yield d
    shutil.rmtree(d, True)
