# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases as functions, TAP as output.

	@case(deadline=60)
	def setvcpus_ends_0_only_when_every_vcpu_ran():
		...

	if __name__ == "__main__":
		tap.main()

Each case runs in a process of its own, under its deadline; what it starts dies with it. Names of
cases on the command line choose among them; --list names them all.
"""

import os
import re
import shutil
import signal
import sys
import time
import traceback

_cases = []


class Skip(Exception):
    """Raised by a case that cannot run here; the reason is shown."""


class DeadlinePassed(BaseException):
    """Not an Exception, so that nothing on the way swallows it."""


def case(deadline=60, long=False):
    """Mark a function as a case. @long: only with VCPUHP_LONG=1 (tests/run --long)."""

    def mark(function):
        _cases.append((function.__name__, function, deadline, long))
        return function

    return mark


def equal(got, wanted, what=""):
    assert got == wanted, "%s: got %r, wanted %r" % (what or "mismatch", got, wanted)


def matches(pattern, text, what=""):
    assert re.search(pattern, text, re.S), "%s: no %r in %r" % (what or "text", pattern, text)


def _on_alarm(_number, _frame):
    raise DeadlinePassed()


def _where(error):
    """The way to where it was raised, innermost first, without Python's own files."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(here)]
    return "".join("\n  %s:%d: %s" % (os.path.relpath(f.filename, here), f.lineno, f.line)
                   for f in reversed(frames) if f.name != "_run_child")  # fmt: skip


def _sentence(error):
    return str(error) if isinstance(error, AssertionError) else "%s: %s" % (type(error).__name__, error)


def describe(error):
    """What is shown of a case that ended with it."""
    if isinstance(error, DeadlinePassed):
        return "the deadline passed" + _where(error)
    return _sentence(error) + _where(error)


def _run_child(function, deadline, report):
    signal.signal(signal.SIGALRM, _on_alarm)
    # A shell has what it starts in the background ignore Ctrl-C, and so would all that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(deadline)
    text = "fail"
    try:
        function()
        text = "ok"
    except Skip as e:
        text = "skip " + str(e)
    except DeadlinePassed as e:
        text = "fail deadline of %d s passed%s" % (deadline, _where(e))
    except BaseException as e:
        text = "fail " + describe(e)
    os.write(report, text.encode(errors="replace")[-60000:])
    sys.stdout.flush()
    os._exit(0)


def _collect(pid, fd, deadline):
    """The child's report; it is killed 20 s after its deadline."""
    killer = time.monotonic() + deadline + 20
    os.set_blocking(fd, False)
    text = b""
    while True:
        try:
            data = os.read(fd, 65536)
            if not data:
                break
            text += data
        except BlockingIOError:
            if time.monotonic() > killer:
                os.kill(pid, signal.SIGKILL)
                text = text or b"fail killed 20 s after its deadline"
                break
            time.sleep(0.01)
    os.waitpid(pid, 0)
    return text.decode(errors="replace") or "fail the case's process died"


def _logs_folder(name):
    base = os.environ.get("VCPUHP_TEST_LOGS")
    if not base:
        return None
    folder = os.path.join(base, os.path.basename(sys.argv[0]).rsplit(".", 1)[0], name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def run_case(function, name, deadline):
    """Run one case in a child. Return "ok", "skip WHY" or "fail WHY"."""
    logs = _logs_folder(name)
    sys.stdout.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        if logs:
            os.environ["VCPUHP_CASE_LOGS"] = logs
        _run_child(function, deadline, writing)
    os.close(writing)
    try:
        return _collect(pid, reading, deadline)
    finally:
        os.close(reading)
        if logs and not os.listdir(logs):
            os.rmdir(logs)


def _choose(words):
    unknown = set(words) - {c[0] for c in _cases}
    if unknown:
        sys.exit("%s: no such case: %s" % (sys.argv[0], ", ".join(sorted(unknown))))
    return [c for c in _cases if not words or c[0] in words]


def main(before=None):
    """Run the chosen cases. @before, if given, returns a reason to skip all of them, or None."""
    args = sys.argv[1:]
    if args == ["--list"]:
        print("\n".join(c[0] for c in _cases))
        return
    chosen = _choose(args)
    why = before() if before else None
    print("TAP version 13\n1..%d" % len(chosen), flush=True)
    failed = 0
    for i, (name, function, deadline, long) in enumerate(chosen, 1):
        start = time.monotonic()
        if why:
            verdict = "skip " + why
        elif long and not args and not os.environ.get("VCPUHP_LONG"):
            verdict = "skip only in long runs (tests/run --long)"
        else:
            verdict = run_case(function, name, deadline)
        failed += verdict.startswith("fail")
        _print(i, name, verdict, time.monotonic() - start)
    sys.exit(1 if failed else 0)


def _print(number, name, verdict, seconds):
    word, _, rest = verdict.partition(" ")
    if word == "ok":
        print("ok %d - %s # time=%.2fs" % (number, name, seconds), flush=True)
    elif word == "skip":
        print("ok %d - %s # SKIP %s" % (number, name, rest.replace("\n", " ")), flush=True)
    else:
        print("not ok %d - %s # time=%.2fs" % (number, name, seconds))
        for line in rest.splitlines():
            print("# " + line)
        sys.stdout.flush()
