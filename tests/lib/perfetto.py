# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Perfetto and chrome://tracing need of a trace of JSON to draw all of it, each part where it belongs.

The rules are those of Perfetto's importer, looked up in its sources and tried with it. Where VCPUHP_PERFETTO names
a trace_processor_shell, that one reads each trace too and tells what it made of it."""

import csv
import io
import json
import os
import subprocess
import tempfile

NAMES = {1: "host", 2: "guest agent", 3: "guest kernel"}
TIDS = 10000  # a process's threads have ids from so many times its own on

# What was dropped or misplaced; how many events are there, and the tracks with all of theirs in the order of display.
_QUESTIONS = """
select 'bad', name, value from stats where severity in ('error', 'data_loss') and value > 0;
select 'track', process.name, thread.name, thread.tid, count(*), max(depth) from slice
  join thread_track on track_id = thread_track.id join thread using (utid) join process using (upid)
  group by utid order by extract_arg(process.arg_set_id, 'process_sort_index_hint'),
  extract_arg(thread.arg_set_id, 'thread_sort_index_hint');
select 'slice', pid, tid, ts, dur, slice.name, depth from slice
  join thread_track on track_id = thread_track.id join thread using (utid) join process using (upid) order by ts;
"""


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
    depths = {}
    for track in tracks:
        _check_nesting([e for e in spans if (e["pid"], e["tid"]) == track], depths)
    if os.environ.get("VCPUHP_PERFETTO"):
        _ask(os.environ["VCPUHP_PERFETTO"], trace, spans, depths)
    return spans


def _ns(us):
    """To the nearest one, as it does that."""
    assert isinstance(us, (int, float)) and not isinstance(us, bool), us
    return round(us * 1000)


def _check_nesting(spans, depths):
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
        depths[id(e)] = len(open_ends)
        open_ends.append(end)
        last = begin


def _ask(shell, trace, spans, depths):
    """Perfetto itself has all of it, with these names, at these times and as deep."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("trace.json", "questions.sql")]
        for path, text in zip(paths, (json.dumps(trace), _QUESTIONS)):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        said = subprocess.run([shell, "-q", paths[1], paths[0]], capture_output=True, text=True, check=True, timeout=60)
    rows = {"bad": [], "track": [], "slice": []}
    for row in csv.reader(io.StringIO(said.stdout)):
        if row and row[0] in rows:
            rows[row[0]].append(row[1:])
    assert not rows["bad"], rows["bad"]
    tracks = sorted({e["tid"] for e in spans})
    assert [r[:3] for r in rows["track"]] == [[NAMES[t // TIDS], "vcpu %d" % (t % TIDS), str(t)] for t in tracks], rows
    wanted = sorted((e["pid"], e["tid"], _ns(e["ts"]), _ns(e["dur"]), e["name"], depths[id(e)]) for e in spans)
    got = sorted((*map(int, r[:4]), r[4], int(r[5])) for r in rows["slice"])
    assert got == wanted, set(got) ^ set(wanted)
