"""The C files beside this one, which go into a role before the C library."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

import pytest

import harness


@functools.cache
def library(name):
    """NAME.c, compiled once for all tests of this process."""
    folder = tempfile.mkdtemp(prefix=f"jmapd-{name}-")
    os.chmod(folder, 0o755)
    atexit.register(shutil.rmtree, folder, True)
    path = os.path.join(folder, name + ".so")
    source = os.path.join(os.path.dirname(__file__), name + ".c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", path, source],
                   check=True)
    return path


def need_preload():
    if harness.UNDER or sanitized():
        pytest.skip("a sanitizer or valgrind wants to be loaded first")


def sanitized():
    with open(harness.JMAPD, "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program
