#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `meson install` puts where, under which prefix and options, and what it leaves alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from container import install
from guest import ROOT
from tap import case, equal

UNITS = ("vcpuhp-agent.service", "vcpuhpd.service", "vcpuhpd.socket", "vcpuhp-hook.socket", "vcpuhp-hook@.service")
HOST_ONLY = {"vcpuhpd", "vcpuhpctl", "vcpuhpd.service", "vcpuhpd.socket", "vcpuhpd-place.conf", "vcpuhpd-metrics.conf",
             "vcpuhp-dashboard.json", "vcpuhp.conf", "vcpuhp.catalog", "_vcpuhpctl", "vcpuhpctl.fish",
             "vcpuhp-hook.socket", "vcpuhp-hook@.service", "vcpuhp-run-hook"}  # fmt: skip


def folders(*options, man="disabled"):
    """File name -> the folders that it is installed to, of a build folder with these options."""
    with tempfile.TemporaryDirectory(prefix="vcpuhp-dist-") as scratch:
        build = os.path.join(scratch, "build")
        done = subprocess.run(["meson", "setup", build, ROOT, "-Dtests=false", "-Dman=" + man, *options],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        out = subprocess.check_output(["meson", "introspect", "--installed", build], text=True)
    found = {}
    for path in json.loads(out).values():
        found.setdefault(os.path.basename(path), set()).add(os.path.dirname(path))
    return found


def pkg_config(package, name):
    done = subprocess.run(["pkg-config", "--variable=" + name, package], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@case()
def below_usr_it_is_where_pkg_config_says():
    found = folders("-Dprefix=/usr")
    unit_dir = pkg_config("systemd", "systemdsystemunitdir") or "/usr/lib/systemd/system"
    for unit in UNITS:
        equal(found[unit], {unit_dir}, unit)
    equal(found["99-vcpuhp-agent.rules"], {(pkg_config("udev", "udevdir") or "/usr/lib/udev") + "/rules.d"})
    both = {pkg_config("systemd", d + "dir") or "/usr/lib/%s.d" % d for d in ("sysusers", "tmpfiles")}
    equal(found["vcpuhp.conf"], both)
    equal(found["vcpuhp.catalog"], {pkg_config("systemd", "catalogdir") or "/usr/lib/systemd/catalog"})
    bash = pkg_config("bash-completion", "completionsdir") or "/usr/share/bash-completion/completions"
    equal((found["vcpuhpd"], found["vcpuhpctl"]), ({"/usr/sbin"}, {"/usr/bin", bash}))
    equal(found["vcpuhpctl.fish"], {pkg_config("fish", "completionsdir") or "/usr/share/fish/vendor_completions.d"})
    zsh = "/usr/share/zsh/" + ("vendor-completions" if os.path.isdir("/usr/share/zsh/vendor-completions") else "site-functions")
    equal(found["_vcpuhpctl"], {zsh})
    for name in ("vcpuhpd-place.conf", "vcpuhpd-metrics.conf", "vcpuhp-dashboard.json"):
        equal(found[name], {"/usr/share/vcpuhp"}, name)


@case()
def below_another_prefix_all_is_below_it():
    found = folders("-Dprefix=/opt/vcpuhp")
    for name, where in found.items():
        assert all(w.startswith("/opt/vcpuhp/") for w in where), "%s: %s" % (name, where)
    equal(found["vcpuhpd.socket"], {"/opt/vcpuhp/lib/systemd/system"})
    equal(found["vcpuhp.conf"], {"/opt/vcpuhp/lib/sysusers.d", "/opt/vcpuhp/lib/tmpfiles.d"})
    equal(found["vcpuhp.catalog"], {"/opt/vcpuhp/lib/systemd/catalog"})
    equal(found["vcpuhpctl"], {"/opt/vcpuhp/bin", "/opt/vcpuhp/share/bash-completion/completions"})
    equal(found["_vcpuhpctl"], {"/opt/vcpuhp/share/zsh/site-functions"})
    equal(found["vcpuhpctl.fish"], {"/opt/vcpuhp/share/fish/vendor_completions.d"})


@case()
def each_folder_can_be_named_or_left_out():
    found = folders("-Dprefix=/usr", "-Dunitdir=/u", "-Dudevdir=no", "-Dsysusersdir=no", "-Dtmpfilesdir=/t")
    equal([found[unit] for unit in UNITS], [{"/u"}] * len(UNITS))
    equal((found["vcpuhp.conf"], "99-vcpuhp-agent.rules" in found), ({"/t"}, False))
    found = folders("-Dunitdir=no", "-Dcatalogdir=no", "-Dbashcompletiondir=no", "-Dzshcompletiondir=/z",
                    "-Dfishcompletiondir=no")  # fmt: skip
    equal([name for name in (*UNITS, "vcpuhp.catalog", "vcpuhpctl.fish") if name in found], [])
    equal((len(found["vcpuhpctl"]), found["_vcpuhpctl"]), (1, {"/z"}))


@case()
def a_guest_gets_the_agent_alone():
    found = folders("-Ddaemon=false")
    equal(HOST_ONLY & set(found), set())
    equal({"vcpuhp-agent", "vcpuhp-agent.service", "99-vcpuhp-agent.rules"} - set(found), set())


@case()
def each_page_of_the_manual_is_in_its_section():
    if not shutil.which("scdoc"):
        raise tap.Skip("scdoc is not installed")
    agents = {"vcpuhp-agent.8", "vcpuhp-agent.conf.5", "vcpuhp-callbacks.7", "vcpuhp-protocol.7"}
    hosts = {"vcpuhpctl.1", "vcpuhpd.8", "vcpuhpd.conf.5"}
    for option, wanted, others in (("true", agents | hosts, set()), ("false", agents, hosts)):
        found = folders("-Dprefix=/usr", "-Ddaemon=" + option, man="enabled")
        for page in wanted:
            equal(found.get(page), {"/usr/share/man/man" + page[-1]}, page)
        equal(others & set(found), set())
    found = folders("-Dprefix=/usr")
    equal([name for name in agents | hosts if name in found], [])
    equal(found["troubleshooting.md"], {"/usr/share/doc/vcpuhp"})


@case()
def what_an_administrator_has_written_stays():
    dest = tempfile.mkdtemp(prefix="vcpuhp-dest-")
    try:
        install(dest)
        for name, source in (("vcpuhpd.conf", "daemon"), ("vcpuhp-agent.conf", "guest-agent")):
            path = os.path.join(dest, "etc/vcpuhp", name)
            with open(path, encoding="utf-8") as f, open(os.path.join(ROOT, source, name), encoding="utf-8") as g:
                equal(f.read(), g.read(), name)
            equal(os.stat(path).st_mode & 0o7777, 0o644)
        with open(path, "w", encoding="utf-8") as f:
            f.write("mine\n")
        install(dest)
        with open(path, encoding="utf-8") as f:
            equal(f.read(), "mine\n")
        os.unlink(path)
        os.symlink("/nowhere/mine", path)
        install(dest)
        equal(os.readlink(path), "/nowhere/mine")
        assert os.path.isdir(os.path.join(dest, "etc/vcpuhp/cpuhp.d"))
        assert os.path.isdir(os.path.join(dest, "etc/vcpuhp/hooks.d"))
    finally:
        shutil.rmtree(dest)


@case()
def the_default_configuration_is_good():
    daemon = os.path.join(os.environ["VCPUHP_BUILD"], "daemon/vcpuhpd")
    source = os.path.join(ROOT, "daemon/vcpuhpd.conf")
    done = subprocess.run([daemon, "--check-config", "--config", source], capture_output=True, text=True, check=False)
    equal((done.returncode, done.stdout + done.stderr), (0, ""))
    # All that is commented out is good as well, and says what the programs take.
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f, open(source, encoding="utf-8") as text:
        f.writelines(line[1:] if line.startswith("#") and line[1:2] not in (" ", "\n") else line for line in text)
        f.flush()
        done = subprocess.run([daemon, "--check-config", "--config", f.name], capture_output=True, text=True, check=False)
    equal((done.returncode, done.stdout + done.stderr), (0, ""))


if __name__ == "__main__":
    tap.main(lambda: None if shutil.which("meson") else "meson is not installed")
