"""What a role has left once it serves, and what becomes of one that reaches for
more: code of ours is loaded into it (escape.c) and tries."""

import os
import shutil
import socket
import tempfile

import pytest

import fault
import harness
from jmap import HttpApi
from mail import deliver
from preload import library, need_preload


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def has_landlock(log):
    return "sandbox landlock=" in log


@pytest.fixture(scope="module")
def server():
    with harness.Server(worker_pool_size=1) as s:
        yield s


@pytest.mark.parametrize("role", ["worker", "store"])
def test_a_role_has_no_privileges(server, role):
    if server.options.get("user") is None:
        pytest.skip("started by root only, roles change to a user")
    import pwd
    user = pwd.getpwnam(server.options["user"])
    s = status_of(fault.role(server, role)["pid"])
    assert s["Uid"].split() == [str(user.pw_uid)] * 4
    assert s["Gid"].split() == [str(user.pw_gid)] * 4
    assert s["Groups"].split() == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(s[kind], 16) == 0, kind
    assert s["NoNewPrivs"] == "1"


@pytest.mark.parametrize("role", ["worker", "store"])
def test_each_thread_of_a_role_is_in_its_sandbox(server, role):
    need_sandbox()
    pid = fault.role(server, role)["pid"]
    tasks = os.listdir(f"/proc/{pid}/task")
    assert len(tasks) > 5 if role == "store" else len(tasks) == 1
    for tid in tasks:
        s = status_of(f"{pid}/task/{tid}")
        assert (s["Seccomp"], s["NoNewPrivs"]) == ("2", "1")


def test_the_master_keeps_what_it_needs(server):
    s = status_of(server.proc.pid)
    assert s["Seccomp"] == "0"
    assert int(s["Uid"].split()[1]) == os.geteuid()


def test_the_data_directory_may_stand_behind_a_link():
    with tempfile.TemporaryDirectory(prefix="jmapd-far-") as far:
        os.chmod(far, 0o755)
        with harness.Server(start=False) as s:
            os.symlink(os.path.join(far, "data"), s.options["data-dir"])
            os.mkdir(os.path.join(far, "data"))
            if "user" in s.options:
                shutil.chown(os.path.join(far, "data"), s.options["user"])
            s.start()
            account = s.add_account()
            deliver(s, account.name)
            api = HttpApi(s, account)
            assert len(api.emails()) == 1
            api.close()
            assert os.path.exists(os.path.join(far, "data", "directory.db"))


# ---- a role that reaches for more -------------------------------------------------


def need_sandbox():
    try:
        need_preload()
    except pytest.skip.Exception:
        pytest.skip("no sandbox under a sanitizer or valgrind")


class Escape(harness.Server):
    """One worker or the store tries these ways at the next client or account."""

    def __init__(self, role, ways, **options):
        need_sandbox()
        self.role, self.ways = role, ways
        self.out = tempfile.mkdtemp(prefix="jmapd-escape-")
        os.chmod(self.out, 0o777)
        self.heard = socket.create_server(("127.0.0.1", 0))
        self.heard.setblocking(False)
        super().__init__(allow_deaths=True, worker_pool_size=1, **options)

    def environment(self):
        return {"LD_PRELOAD": library("escape"), "TEST_ESCAPE": " ".join(self.ways),
                "TEST_ESCAPE_ROLE": "@" + self.role,
                "TEST_ESCAPE_DIR": self.out,
                "TEST_ESCAPE_PORT": str(self.heard.getsockname()[1])}

    def remove(self):
        super().remove()
        self.heard.close()
        shutil.rmtree(self.out, True)

    def trigger(self):
        if self.role == "store":
            return self.ctl("account", "add", "new@example.org",
                            "--no-password")
        with socket.create_connection(("127.0.0.1", self.http)):
            harness.wait_for("the escape is tried",
                             lambda: "escape: tried" in self.log())

    def came_out(self):
        """The ways that led out."""
        out = set(os.listdir(self.out))
        try:
            self.heard.accept()[0].close()
            out.add("connect")
        except BlockingIOError:
            pass
        return out


DEADLY = [("worker", way) for way in ("open", "connect", "exec", "ring")]
DEADLY += [("store", way) for way in ("connect", "exec", "ring")]


@pytest.mark.parametrize("role,way", DEADLY)
def test_a_forbidden_call_ends_the_role(role, way):
    with Escape(role, [way]) as s:
        old = fault.role(s, role)["pid"]
        s.trigger()
        died = harness.wait_for("the master says so", lambda: [
            line for line in s.log().splitlines() if "died role=" in line])
        assert len(died) == 1
        assert " error master" in died[0]
        assert f"died role={role} index=0 pid={old} signal=31: " in died[0]
        assert "escape: went on" not in s.log()
        assert s.came_out() == set()
        assert fault.up_again(s, role, 0, old) != old


def test_the_store_opens_nothing_outside_its_directory():
    with Escape("store", ["open"]) as s:
        if not has_landlock(s.log()):
            pytest.skip("this kernel has no Landlock")
        assert s.trigger().returncode == 0
        assert "escape: went on" in s.log()
        assert s.came_out() == set()
        assert "died role=" not in s.log()


@pytest.mark.parametrize("role", ["worker", "store"])
def test_without_its_sandbox_all_of_that_succeeds(role):
    with Escape(role, ["open", "connect", "exec", "ring"], sandbox="no") as s:
        s.trigger()
        harness.wait_for("it goes on", lambda: "escape: went on" in s.log())
        assert s.came_out() == {"open", "connect", "exec"}
        assert "no sandbox: the configuration says so" in s.log()
        assert "died role=" not in s.log()
