# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Perfetto and chrome://tracing need of a trace of JSON to draw all of it, each part where it belongs.

The rules are those of Perfetto's importer, looked up in its sources and tried with it."""

NAMES = {1: "host", 2: "guest agent", 3: "guest kernel"}
TIDS = 10000  # a process's threads have ids from so many times its own on


def _metadata(events, kind):
    """(pid, tid or None) -> the value; each is said once."""
    found = {}
    for e in events:
        if e["ph"] == "M" and e["name"] == kind:
            track = (e["pid"], e.get("tid"))
            assert track not in found, "%s of %s is said twice" % (kind, track)
            (found[track],) = e["args"].values()
    return found


def check(trace):
    """Fail where something is missing or would be dropped or misplaced. Return the spans."""
    events = trace["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["ph"] for e in events} <= {"M", "X"}, {e["ph"] for e in events}
    processes, threads = _metadata(events, "process_name"), _metadata(events, "thread_name")
    assert processes == {(pid, None): name for pid, name in NAMES.items()}, processes
    assert _metadata(events, "process_sort_index") == {(pid, None): pid for pid in NAMES}
    # Thread 0 is taken for one that is not said, and what it did is drawn on the process's main thread, whose id is the
    # process's; a new process ends the thread that has its id. So each thread has an id that no other thing has.
    for e in spans:
        assert e["tid"] == TIDS * e["pid"] + e["args"]["vcpu"] and 0 <= e["args"]["vcpu"] < TIDS, e
    tracks = {(e["pid"], e["tid"]) for e in spans}
    assert threads == {(pid, tid): "vcpu %d" % (tid % TIDS) for pid, tid in tracks}, (threads, tracks)
    assert _metadata(events, "thread_sort_index") == {(pid, tid): tid for pid, tid in tracks}
    assert [e["ts"] for e in spans] == sorted(e["ts"] for e in spans), "the spans are not in the order of time"
    assert not spans or spans[0]["ts"] == 0, "it does not begin at 0"
    for e in spans:
        # A number that is none is a tokenizer's failure, without a duration the span is dropped, without a name it
        # is "[No name]", and what is not a JSON object in args is not shown.
        assert _ns(e["ts"]) >= 0 and _ns(e["dur"]) >= 0 and e["name"] and isinstance(e["args"], dict), e
    for track in tracks:
        _check_nesting([e for e in spans if (e["pid"], e["tid"]) == track])
    return spans


def _ns(us):
    """To the nearest one, as it does that."""
    assert isinstance(us, (int, float)) and not isinstance(us, bool), us
    return round(us * 1000)


def _check_nesting(spans):
    """In the order of their beginnings each lies behind or within the one that is open."""
    open_ends, last = [], -1
    for e in spans:
        begin, end = _ns(e["ts"]), _ns(e["ts"]) + _ns(e["dur"])
        # What overlaps is put on a line of its own, and said to be an error.
        while open_ends and open_ends[-1] <= begin:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1], "it overlaps what is around it: %s" % e
        # Of those that begin at once, one without a length is drawn beneath the others.
        assert begin > last, "it begins with the one before: %s" % e
        open_ends.append(end)
        last = begin
