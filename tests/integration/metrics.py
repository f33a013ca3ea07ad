#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The metrics: what promtool and Prometheus say to them, what they count, and who is served over HTTP.

The domains are the simulation's (tests/sim/serve.c), behind real sockets and in real time.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import dashboard
import scrape
import tap
from bench_rig import cpu_time_ms, private_kib_of, wakeups
from daemon import VCPUHPD, Daemon
from guest import BUILD
from scrape import ACCEPT_PLAIN, OPENMETRICS, PLAIN, Samples, dial, get, judge_openmetrics, judge_plain, text_of
from simfleet import SimFleet, ask, is_known, linked, summaries, why_not
from tap import case, equal, matches
from vm import Process, wait_for

MODULE = os.path.join(BUILD, "daemon", "vcpuhp-metrics.so")
SANITIZED = "ASAN_OPTIONS" in os.environ

CLIENTS = 16  # connections at once
DEADLINE_S = 10  # for each
TEXTS_RATE, TEXTS_BURST = 10, 10  # that are made anew
TEXTS_HELD = 2  # that are not the last
DOMAINS = 64
SCRAPES = 20
SHARE = 0.01  # of a core, for one scrape a second
IDLE_S = 16
IDLE_WAKEUPS = 1  # a second


def need_http():
    if not os.path.exists(MODULE):
        raise tap.Skip("the module for HTTP was not built (libmicrohttpd-dev)")


def ways():
    """Where it can be served here."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return ("path", "v4", "v6")
    except OSError:
        print("# without IPv6, which is not here")
        return ("path", "v4")


def need_promtool():
    if scrape.why_not():
        raise tap.Skip(scrape.why_not())


@contextlib.contextmanager
def scene(n=1, listen="path", **more):
    """A daemon that knows its domains. @listen: "path", "v4", "v6" or None; d.where is that."""
    with SimFleet(n) as fleet:
        where = {"path": fleet.path("metrics"), "v4": "127.0.0.1:%d" % scrape.free_port(),
                 "v6": "[::1]:%d" % scrape.free_port(), None: None}[listen]  # fmt: skip
        keys = {"MetricsListen": where} if where else {}
        with Daemon(fleet.domains[0], others=fleet.domains[1:], daemon=keys, **more) as d:
            d.where = where
            with linked(d.socket) as link:
                wait_for(lambda: all(is_known(s) for s in summaries(link).values()), 20, "all domains", pause=0.1)
            yield fleet, d


def restart(d, number=signal.SIGTERM):
    """Until it answers: its control socket is there before its metrics, its answers are not."""
    d.restart(number)
    return d.info()


def move(link, fleet):
    """All domains up to 3 at once, and back to 1."""
    for count in (3, 1):
        begun = [ask(link, "SetVcpus", domain=d.name, count=count, wait=False)["result"]["op"] for d in fleet.domains]
        for op in begun:
            r = ask(link, "GetOperation", op=op, wait=True)["result"]
            equal((r["result"], r["online"]), ("done", count), r["domain"])


def reload_with(d, listen):
    """The configuration with another MetricsListen=, read again. Return: what was logged."""
    with open(d.config, encoding="utf-8") as f:
        text = re.sub(r"(?m)^MetricsListen=.*\n", "", f.read())
    with open(d.config, "w", encoding="utf-8") as f:
        f.write(text.replace("[Daemon]\n", "[Daemon]\nMetricsListen=%s\n" % listen, 1))
    before = len(d.text())
    d.process.kill(signal.SIGHUP)
    wait_for(lambda: re.search("read again\n|was not taken", d.text()[before:]), 10, "the reload")
    time.sleep(0.1)  # what comes of it stands behind that
    return d.text()[before:]


def both(d):
    """(OpenMetrics, the older format), by each of the ways that there are."""
    with linked(d.socket) as link:
        yield "Varlink", ask(link, "Metrics")["text"], ask(link, "Metrics", format="prometheus")["text"]
    yield ("vcpuhpctl", d.ctl("metrics", json_output=False).out,
           d.ctl("metrics", "--format", "prometheus", json_output=False).out)  # fmt: skip
    if d.where:
        yield d.where, text_of(d.where), text_of(d.where, ACCEPT_PLAIN)


@case()
def promtool_has_nothing_to_say_against_any_of_the_ways():
    need_promtool()
    for listen in (None, *(ways() if os.path.exists(MODULE) else ())):
        with scene(2, listen=listen) as (fleet, d):
            with linked(d.socket) as link:
                move(link, fleet)
            said = []
            for way, text, older in both(d):
                equal((judge_openmetrics(text), judge_plain(older)), ("", ""), way)
                said.append({k for k, _ in Samples(text).values.items()})
                equal({k for k, _ in Samples(older).values.items()}, said[-1], "the series of both formats")
            assert all(s == said[0] for s in said), "not the same series everywhere"
    if not os.path.exists(MODULE):
        print("# without HTTP, whose module was not built")


@case()
def promtool_would_say_it():
    need_promtool()
    with scene(listen=None) as (_, d):
        text = d.ctl("metrics", json_output=False).out
        for old, new, word in (("# EOF\n", "", "EOF"), (" counter\n", " countr\n", "invalid metric type"),
                               ('domain="web0"', 'domain="we"b0"', "expected comma"),
                               ("vcpuhp_domains 1", "vcpuhp_domains one", "parsing")):  # fmt: skip
            matches(word, judge_openmetrics(text.replace(old, new)) or "nothing", "with %r" % new)
        # OpenMetrics is no text for it.
        matches("no help text", judge_plain(text) or "nothing")


@case()
def histograms_count_what_happened():
    with scene(listen=None) as (fleet, d):
        start = time.monotonic()
        equal(d.setvcpus(3).exit, 0)
        equal(d.setvcpus(1).exit, 0)
        equal(d.ctl("fail", "web0", 2, "qemu:device").exit, 0)
        equal(d.setvcpus(3).exit, 1)
        spent = time.monotonic() - start
        s = Samples(d.ctl("metrics", json_output=False).out)
    for state in ("qemu:device", "guest:present", "ap:online", "ap:active"):
        assert s.get("vcpuhp_step_seconds_count", domain="web0", state=state, direction="up") >= 2, state
    up = {"domain": "web0", "state": "qemu:device", "direction": "up"}
    equal(s.get("vcpuhp_step_failures_total", **up), 1)
    equal(s.get("vcpuhp_step_seconds_count", **up), 4)
    equal(s.get("vcpuhp_step_seconds_count", **dict(up, direction="down")), 3)
    for name, labels in (("vcpuhp_step_seconds", up), ("vcpuhp_operation_seconds", {"domain": "web0", "result": "done"})):
        buckets = sorted((float(dict(k)["le"]), v) for k, v in s.all(name + "_bucket", **labels).items())
        equal([b[0] for b in buckets][0::11], [0.001, float("inf")])
        assert [b[1] for b in buckets] == sorted(b[1] for b in buckets), buckets
        equal(buckets[-1][1], s.get(name + "_count", **labels))
        assert 0 < s.get(name + "_sum", **labels) < 4 * spent, labels
    equal((s.get("vcpuhp_operations_total", domain="web0", result="done"),
           s.get("vcpuhp_operations_total", domain="web0", result="failed")), (2, 1))  # fmt: skip
    equal(s.get("vcpuhp_operation_seconds_count", domain="web0", result="failed"), 1)
    assert s.get("vcpuhp_operation_seconds_sum", domain="web0", result="done") < spent
    equal(s.sum("vcpuhp_vcpus", domain="web0"), 8)
    equal(s.get("vcpuhp_vcpus", domain="web0", state="online"), 1)
    equal((s.get("vcpuhp_hypervisor_up", domain="web0"), s.get("vcpuhp_agent_up", domain="web0")), (1, 1))


@case()
def a_scraper_gets_the_format_that_it_asks_for():
    need_http()
    for listen in ways():
        with scene(listen=listen) as (_, d):
            answer = get(d.where)
            equal((answer.status, answer.headers["Content-Type"]), (200, OPENMETRICS))
            assert answer.body.endswith("# EOF\n")
            answer = get(d.where, Accept=ACCEPT_PLAIN)
            equal((answer.status, answer.headers["Content-Type"]), (200, PLAIN))
            equal(get(d.where, "/metrics?name=x").status, 200)
            if listen == "path":
                equal(os.stat(d.where).st_mode & 0o7007, 0, "open to others")
                where = d.where
            equal(d.stop(), 0, "its exit status")
            if listen == "path":
                assert not os.path.exists(where), "its name is there still"


@case()
def whatever_else_is_asked_for_is_refused():
    need_http()
    with scene() as (_, d):
        for path in ("/", "/metrics/", "/metric", "//metrics", "/../metrics", "/METRICS"):
            equal(get(d.where, path).status, 404, path)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "FROBNICATE"):
            answer = get(d.where, method=method)
            equal((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), method)
        answer = get(d.where, method="HEAD")
        assert answer.status == 200 and not answer.body and int(answer.headers["Content-Length"]) > 1000, answer
        with dial(d.where) as s:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            said = b"".join(iter(lambda: s.recv(65536), b""))
            assert said.startswith(b"HTTP/1.") and b" 200 " in said[:20] and said.endswith(b"# EOF\n"), said[:200]


def closes(s, seconds):
    """Until the daemon has closed it. Return: what it said before."""
    said = b""
    s.settimeout(seconds)
    with contextlib.suppress(ConnectionResetError):
        while data := s.recv(65536):
            said += data
    return said


def serves_others(d, link):
    """A scraper, and who changes vCPUs, are served at once. Three tries: a busy machine may hold up one of them."""
    for i in range(3):
        start = time.monotonic()
        text_of(d.where)
        took = time.monotonic() - start
        if took < 1:
            break
    assert took < 1 or SANITIZED, "a scrape takes %.1f s" % took
    equal(ask(link, "SetVcpus", domain="web0", count=2)["result"]["result"], "done")
    equal(ask(link, "SetVcpus", domain="web0", count=1)["result"]["result"], "done")


@contextlib.contextmanager
def nothing_left(d):
    """What is done in here holds up nobody else, and leaves nothing behind."""
    with linked(d.socket) as link:
        text_of(d.where)
        descriptors, threads, kib = d.descriptors(), d.status_field("Threads"), d.status_field("RssAnon")
        yield link
        serves_others(d, link)
        wait_for(lambda: d.descriptors() <= descriptors, 2 * DEADLINE_S, "the connections' ends")
        equal(d.status_field("Threads"), threads)
        grown = d.status_field("RssAnon") - kib  # what a library's pages are depends on who else has it
        print("# %d KiB more" % grown, flush=True)
        assert SANITIZED or grown < 2048, "%d KiB more" % grown


@case(deadline=120)
def bad_requests_do_no_harm():
    need_http()
    bad = [b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100000, b"G" * 100000, b"GET /" + b"m" * 100000 + b" HTTP/1.1\r\n\r\n",
           b"\0" * 1000, b"\r\n" * 1000, b"GET /metrics HTTP/9.9\r\n\r\n", b"GET /metrics\r\n\r\n", b"{}\0", os.urandom(4096),
           b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
           b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
           b"PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100000,
           b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000]  # fmt: skip
    assert len(bad) < CLIENTS  # so that none is thrown out for another
    with scene() as (_, d), nothing_left(d) as link:
        clients = [dial(d.where) for _ in bad]
        for s, request in zip(clients, bad):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(request)
                s.shutdown(socket.SHUT_WR)
        serves_others(d, link)
        for s in clients:
            said = closes(s, 2 * DEADLINE_S)
            assert not said or said.startswith(b"HTTP/1."), said[:100]
            s.close()
        assert d.process.alive(), d.text()


@case(deadline=120)
def slow_and_half_open_clients_have_ten_seconds():
    """However busy it keeps its connection: one byte a second, or none, or it reads nothing of its answer."""
    need_http()
    with scene(8) as (fleet, d), nothing_left(d) as link:
        move(link, fleet)  # then an answer is more than the kernel takes for who does not read
        silent, dribbling, deaf = (dial(d.where) for _ in range(3))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        dribbling.setblocking(False)
        ended = None
        for byte in b"GET /metrics HTTP/1.1\r\nX-Slow: " + b"x" * 2 * DEADLINE_S:
            try:
                dribbling.send(bytes([byte]))
                if dribbling.recv(1) == b"":
                    ended = time.monotonic() - began
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                ended = time.monotonic() - began
            if ended:
                break
            serves_others(d, link)
            time.sleep(0.5)
        assert ended and DEADLINE_S - 1 < ended < DEADLINE_S * 1.6, "the slow one ended after %s s" % ended
        equal(closes(silent, DEADLINE_S), b"")
        closes(deaf, DEADLINE_S)
        for s in (silent, dribbling, deaf):
            s.close()


@case(deadline=120)
def who_opens_many_connections_takes_his_own_places():
    need_http()
    for listen in ("path", "v4"):
        with scene(listen=listen) as (_, d), nothing_left(d) as link:
            base = d.descriptors()
            many = []
            for i in range(8 * CLIENTS):
                many.append(dial(d.where))
                if i % 2:
                    many[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
                if i % CLIENTS == 0:
                    assert d.descriptors() <= base + CLIENTS + 1, "%d descriptors" % d.descriptors()
                    serves_others(d, link)
            for s in many:
                s.close()


def asking(where):
    """Who asks for the metrics, and has taken nothing of them yet but what the kernel holds for him."""
    s = dial(where)
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    return s


@contextlib.contextmanager
def large_scene():
    """The text is several times what the kernel holds of it."""
    with scene(DOMAINS) as (fleet, d):
        with linked(d.socket) as link:
            move(link, fleet)
        size = len(text_of(d.where))
        print("# %d KiB" % (size // 1024), flush=True)
        assert size > 1 << 20, "%d bytes are no large text" % size
        yield fleet, d


def is_whole(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(length) and len(body) == int(length.group(1)) and body.endswith(b"# EOF\n")


@case(deadline=120)
def who_takes_a_large_text_is_not_thrown_out_for_those_who_ask_nothing():
    need_http()
    with large_scene() as (_, d), contextlib.ExitStack() as many:
        scraper = many.enter_context(asking(d.where))
        taken = scraper.recv(4096)
        for _ in range(3 * CLIENTS):
            many.enter_context(dial(d.where))
            taken += scraper.recv(4096)
        taken += closes(scraper, DEADLINE_S)
        assert is_whole(taken), "%d bytes, and no end" % len(taken)


@case(deadline=120)
def who_takes_a_large_text_is_not_thrown_out_for_those_who_take_nothing():
    need_http()
    with large_scene() as (_, d), contextlib.ExitStack() as many:
        scraper = many.enter_context(asking(d.where))
        taken = scraper.recv(4096)
        for _ in range(CLIENTS - 1):
            many.enter_context(asking(d.where))
        for _ in range(20):  # longer than whoever is slow for a moment has to go on
            taken += scraper.recv(16384)
            time.sleep(0.1)
        for _ in range(CLIENTS - 2):
            taken += scraper.recv(16384)
            many.enter_context(asking(d.where))
        taken += closes(scraper, DEADLINE_S)
        assert is_whole(taken), "%d bytes, and no end" % len(taken)


@case(deadline=120)
def who_takes_nothing_has_no_texts_kept_for_him():
    """However many there are, and whatever has changed meanwhile."""
    need_http()
    with large_scene() as (fleet, d), contextlib.ExitStack() as many:
        time.sleep(1.5)  # then ten texts may be made at once
        deaf, before = [], private_kib_of(d.process.pid)
        with moving(d, fleet):
            for _ in range(CLIENTS - 1):
                deaf.append(many.enter_context(asking(d.where)))
                time.sleep(0.15)
            grown = private_kib_of(d.process.pid) - before
        texts = {closes(s, DEADLINE_S).partition(b"\r\n\r\n")[2] for s in deaf}
        assert all(text.endswith(b"# EOF\n") for text in texts), "one was cut off"
        print("# %d of them had %d texts, %d KiB" % (len(deaf), len(texts), grown), flush=True)
        assert 1 < len(texts) <= TEXTS_HELD + 1, "%d texts are kept" % len(texts)


@case()
def out_of_descriptors_it_waits_and_does_not_spin():
    need_http()
    with scene() as (_, d), nothing_left(d) as link:
        pid = d.process.pid
        taken = {int(name) for name in os.listdir("/proc/%d/fd" % pid)}
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        free = next(i for i in range(hard) if i not in taken)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, hard))
        with dial(d.where) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            cpu = cpu_time_ms(pid)
            time.sleep(2.5)
            cpu = cpu_time_ms(pid) - cpu
            equal(ask(link, "GetDomain", domain="web0")["info"]["online"], 1)
            equal(select.select([s], [], [], 0)[0], [], "answered without a descriptor")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            matches(r"^HTTP/1.1 200 .*# EOF\n$", closes(s, DEADLINE_S).decode())
        print("# %.0f ms of CPU time in 2.5 s" % cpu, flush=True)
        assert cpu < 250 or SANITIZED, "%.0f ms of CPU time" % cpu


@contextlib.contextmanager
def moving(d, fleet):
    """Meanwhile all domains move, again and again, so that no two texts are alike."""
    over, failed = threading.Event(), []

    def turn():
        try:
            with linked(d.socket) as link:
                while not over.is_set():
                    move(link, fleet)
        except Exception as e:
            failed.append(tap.describe(e))

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failed, failed[0]


@case(deadline=120)
def a_scraper_in_a_loop_has_ten_texts_a_second_made_and_no_more():
    need_http()
    with scene(8) as (fleet, d):
        text_of(d.where)
        time.sleep(1.5)  # what it has asked for before is made up for
        texts, n = set(), 0
        with moving(d, fleet):
            start = time.monotonic()
            while time.monotonic() - start < 3:
                texts.add(text_of(d.where))
                n += 1
            spent = time.monotonic() - start
    print("# %d scrapes in %.1f s had %d texts" % (n, spent, len(texts)), flush=True)
    assert n > 60 or SANITIZED, "%d scrapes are too few to tell" % n
    assert 3 < len(texts) <= TEXTS_BURST + TEXTS_RATE * spent + 1, "%d texts in %.1f s" % (len(texts), spent)


@case(deadline=120)
def scraped_each_second_64_domains_cost_less_than_a_hundredth_of_a_core():
    need_http()
    if SANITIZED:
        raise tap.Skip("a sanitizer's daemon is no measure")
    with scene(DOMAINS) as (fleet, d):
        for what in ("as they come", "that have all moved"):
            if what != "as they come":
                with linked(d.socket) as link:
                    move(link, fleet)
            time.sleep(3)
            cpu, start, size = cpu_time_ms(d.process.pid), time.monotonic(), 0
            for i in range(SCRAPES):
                size = len(text_of(d.where))
                time.sleep(max(0, start + i + 1 - time.monotonic()))
            spent = (cpu_time_ms(d.process.pid) - cpu) / (time.monotonic() - start) / 1000
            print("# 64 domains %s: %d KiB each second cost %.2f %% of a core; %d KiB private" % (
                what, size // 1024, 100 * spent, private_kib_of(d.process.pid)), flush=True)  # fmt: skip
            assert spent < SHARE, "%.2f %% of a core" % (100 * spent)
        equal(d.ctl("metrics", json_output=False).out.count("\nvcpuhp_agent_up{"), DOMAINS)


@case(deadline=120)
def between_scrapes_nobody_wakes_up():
    """With a client that has come and gone, and one that was thrown out."""
    need_http()
    if SANITIZED:
        raise tap.Skip("a sanitizer's daemon is no measure")
    with scene(DOMAINS) as (_, d):
        text_of(d.where)
        with dial(d.where) as s:
            closes(s, 2 * DEADLINE_S)
        pid = d.process.pid
        woken, cpu = wakeups(pid), cpu_time_ms(pid)
        time.sleep(IDLE_S)
        woken, cpu = (wakeups(pid) - woken) / IDLE_S, (cpu_time_ms(pid) - cpu) / IDLE_S
        print("# %.2f wakeups and %.2f ms of CPU time a second" % (woken, cpu), flush=True)
        assert woken <= IDLE_WAKEUPS, "%.2f wakeups a second" % woken


@case()
def a_reload_opens_moves_and_closes_it():
    need_http()
    with scene(listen=None) as (fleet, d):
        first, second = fleet.path("first"), "127.0.0.1:%d" % scrape.free_port()
        matches("metrics are served on %s\n" % first, reload_with(d, first))
        text_of(first)
        said = reload_with(d, second)
        matches("not served on %s any more\n.*metrics are served on %s\n" % (first, second), said)
        text_of(second)
        assert not os.path.exists(first), "its name is there still"
        equal(reload_with(d, second).count("served"), 0, "words about it where nothing has changed")
        text_of(second)
        said = reload_with(d, "0.0.0.0:1")
        matches(r"vcpuhpd.conf:2: MetricsListen= takes .*, not \"0.0.0.0:1\"; vcpuhpd --check-config tells", said)
        text_of(second)
        matches("not served on %s any more" % second, reload_with(d, ""))
        with tap_refused():
            text_of(second)


@contextlib.contextmanager
def tap_refused():
    try:
        yield
    except (ConnectionRefusedError, FileNotFoundError):
        return
    raise AssertionError("it is served")


@case()
def where_it_cannot_be_served_all_else_goes_on():
    need_http()
    with scene(listen=None) as (fleet, d), linked(d.socket) as link:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = "127.0.0.1:%d" % taken.getsockname()[1]
            matches("cannot listen on %s: another program does; it is tried again" % where, reload_with(d, where))
        matches("metrics are served on", reload_with(d, where))
        text_of(where)
        matches("cannot listen on /nowhere/metrics: No such file", reload_with(d, "/nowhere/metrics"))
        with open(fleet.path("file"), "w", encoding="ascii"):
            pass
        matches("cannot listen on .*: File exists", reload_with(d, fleet.path("file")))
        matches("cannot listen on .*: another program does", reload_with(d, d.socket))
        equal(ask(link, "SetVcpus", domain="web0", count=2)["result"]["result"], "done")
        # Started with it, it goes on without as well.
        equal(restart(d)["domain"], "web0")
        matches("metrics are not served: cannot listen on", d.text())


@case()
def without_the_module_it_says_what_is_missing():
    with tempfile.TemporaryDirectory(prefix="vcpuhp-alone-") as folder:
        alone = shutil.copy(VCPUHPD, folder)
        with scene(program=alone) as (_, d):
            matches("MetricsListen= is configured, but the module for it cannot be loaded: .*vcpuhp-metrics.so: No such file",
                    d.text())  # fmt: skip
            equal(d.setvcpus(2).exit, 0)


@case()
def a_socket_left_behind_by_a_kill_is_taken_over():
    need_http()
    with scene() as (_, d):
        restart(d, signal.SIGKILL)
        text_of(d.where)


class Prometheus:
    """The real one, scraping @where each second."""

    def __init__(self, where):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-prometheus-")
        self.port = scrape.free_port()
        path = os.path.join(self.dir, "prometheus.yml")
        with open(path, "w", encoding="ascii") as f:
            f.write("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: vcpuhp\n"
                    "  static_configs: [{targets: ['%s']}]\n" % where)  # fmt: skip
        self.process = Process([scrape.program("prometheus"), "--config.file=" + path, "--storage.tsdb.path=" + self.dir + "/data",
                                "--web.listen-address=127.0.0.1:%d" % self.port], os.path.join(self.dir, "log"))  # fmt: skip

    def query(self, expression):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            c.request("GET", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
            said = json.load(c.getresponse())
        except (ConnectionRefusedError, ValueError):
            return None
        finally:
            c.close()
        assert said["status"] == "success", "%s: %s" % (expression, said)
        return said["data"]["result"]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stop()
        if exc[0]:
            print("# " + self.process.text()[-2000:].replace("\n", "\n# "))
        shutil.rmtree(self.dir, ignore_errors=True)


@case(deadline=180)
def prometheus_scrapes_it_and_answers_what_the_dashboard_asks():
    need_http()
    need_promtool()
    with scene(4, listen="v4") as (fleet, d), Prometheus(d.where) as p, linked(d.socket) as link:
        move(link, fleet)
        wait_for(lambda: p.query('up{job="vcpuhp"} == 1'), 60, "a scrape", pause=0.5)
        move(link, fleet)
        wait_for(lambda: p.query("count_over_time(vcpuhp_domains[30s]) > 5"), 60, "some scrapes", pause=0.5)
        equal(p.query("vcpuhp_domains")[0]["value"][1], "4")
        equal({r["metric"]["domain"] for r in p.query("vcpuhp_agent_up == 1")}, {s.name for s in fleet.domains})
        for title, expression in dashboard.expressions():
            found = p.query(expression)
            print("# %2d series: %s" % (len(found), title), flush=True)
            assert found or title in dashboard.MAY_BE_EMPTY, "nothing for %s: %s" % (title, expression)


@case()
def the_dashboard_is_one():
    with scene(listen=None) as (fleet, d):
        with linked(d.socket) as link:
            move(link, fleet)
        equal(dashboard.mistakes(Samples(d.ctl("metrics", json_output=False).out)), [])
        broken = fleet.path("broken.json")
        with open(broken, "w", encoding="utf-8") as f, open(dashboard.PATH, encoding="utf-8") as good:
            f.write(good.read().replace("vcpuhp_agent_up{", "vcpuhp_agents_up{{"))
        text = d.ctl("metrics", json_output=False).out
        need_promtool()
        equal(dashboard.judge(), "")
        dashboard.PATH = broken
        matches("there is no vcpuhp_agents_up", "\n".join(dashboard.mistakes(Samples(text))))
        matches("unexpected", dashboard.judge())


if __name__ == "__main__":
    tap.main(before=why_not)
