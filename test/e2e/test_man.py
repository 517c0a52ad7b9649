"""The manual pages: they format without a warning, and every option and every
verb is in them."""

import os
import re
import subprocess

import pytest

import harness

PAGES = {"jmapd.8": "cmd/jmapd", "jmapd.conf.5": "conf", "jmapctl.1": "cmd"}
MAN = os.path.join(os.path.dirname(harness.JMAPCTL), "man")


def run(*args, ok=(0,)):
    p = subprocess.run(args, capture_output=True, text=True, check=False,
                       timeout=harness.DEADLINE)
    assert p.returncode in ok, (args, p.returncode, p.stdout, p.stderr)
    return p


def shown(page):
    """As a reader sees it; its paragraphs in one line each."""
    text = run("mandoc", "-T", "ascii", "-O", "width=1000",
               os.path.join(MAN, page)).stdout
    return re.sub(r".\x08", "", text)


def jmapctl(*args, ok=(0,)):
    return run(harness.JMAPCTL, *args, ok=ok)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_formats_without_a_warning(page):
    p = run("mandoc", "-T", "lint", "-W", "warning", os.path.join(MAN, page))
    assert p.stdout == ""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_left_to_fill_in(page):
    assert "@" not in shown(page).replace("alice@example.org", "")


def test_every_option_is_in_jmapd_conf():
    lines = jmapctl("options").stdout.splitlines()
    page = shown("jmapd.conf.5")
    assert len(lines) > 40
    for first, sentence in zip(lines[::2], lines[1::2]):
        key, default, unit = re.fullmatch(
            r'([a-z-]+): (\S+)(?: \((.*)\))?', first).groups()
        found = re.search(
            rf"\n     {key}\s+{re.escape(sentence.strip())}\n\s*\n\s+"
            r"Default: (\S+); (.*)\.  A change ([a-z ]+)\.\n", page)
        assert found, key
        assert found[1] == ("none" if default == '""' else default)
        assert not unit or found[2].endswith(unit), (key, found[2])


def test_every_verb_is_in_jmapctl():
    usage = jmapctl(ok=(2,)).stderr.splitlines()
    verbs = [u.strip() for u in usage[1:] if re.match(r"  \S", u)]
    page = shown("jmapctl.1")
    assert len(verbs) > 12
    for verb in verbs:
        assert f"\n     {verb}\n" in page or re.search(
            rf"\n     {re.escape(verb)} ", page), verb


def test_install_puts_the_pages_where_man_looks(tmp_path):
    run("make", "-s", "-C", harness.ROOT, "-o", "all", "install",
        f"BUILD={os.path.dirname(MAN)}", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    share = tmp_path / "usr/share/man"
    assert sorted(p.name for p in share.glob("man?/*")) == sorted(PAGES)
    assert (share / "man8/jmapd.8").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "etc/jmapd.conf").exists()
