# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Perfetto and chrome://tracing need of a trace of JSON to draw all of it, each part where it belongs."""

NAMES = {1: "host", 2: "guest agent", 3: "guest kernel"}


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
    """Fail where something is missing or would be dropped. Return the spans."""
    events = trace["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["ph"] for e in events} <= {"M", "X"}, {e["ph"] for e in events}
    processes, threads = _metadata(events, "process_name"), _metadata(events, "thread_name")
    assert processes == {(pid, None): name for pid, name in NAMES.items()}, processes
    assert _metadata(events, "process_sort_index") == {(pid, None): pid for pid in NAMES}
    tracks = {(e["pid"], e["tid"]) for e in spans}
    assert threads == {(pid, tid): "vcpu %d" % tid for pid, tid in tracks}, (threads, tracks)
    assert _metadata(events, "thread_sort_index") == {(pid, tid): tid for pid, tid in tracks}
    assert [e["ts"] for e in spans] == sorted(e["ts"] for e in spans), "the spans are not in the order of time"
    assert not spans or spans[0]["ts"] == 0, "it does not begin at 0"
    for e in spans:
        assert isinstance(e["ts"], int) and isinstance(e["dur"], int) and e["dur"] >= 0 and e["name"], e
    for track in tracks:
        _check_nesting([e for e in spans if (e["pid"], e["tid"]) == track])
    return spans


def _check_nesting(spans):
    """In the order of their beginnings each lies behind or within the one that is open."""
    open_ends = []
    for e in spans:
        while open_ends and open_ends[-1] <= e["ts"]:
            open_ends.pop()
        assert not open_ends or e["ts"] + e["dur"] <= open_ends[-1], "it overlaps what is around it: %s" % e
        open_ends.append(e["ts"] + e["dur"])
