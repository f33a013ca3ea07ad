# SPDX-License-Identifier: LGPL-2.1-or-later
"""Grafana's dashboard of the metrics (systemd/vcpuhp-dashboard.json): its structure, and what it asks for.

There is no Grafana in Debian to load it with; promtool and a real Prometheus judge its expressions.
"""

import json
import os
import re
import tempfile

import scrape
from guest import ROOT

PATH = os.path.join(ROOT, "systemd", "vcpuhp-dashboard.json")
KINDS = {"row", "stat", "timeseries", "bargauge", "state-timeline"}
# As Grafana would put it in.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1m", "$domain": ".*"}
LABELS = {"domain", "state", "direction", "result", "le", "version"}
# Of panels that show what may not be there: without [Libvirt], or where no step has failed.
MAY_BE_EMPTY = {"libvirtd", "Steps that failed, by state"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}


def load():
    with open(PATH, encoding="utf-8") as f:
        return json.load(f)


def panels():
    return [p for p in load()["panels"] if p["type"] != "row"]


def raw_expressions():
    return [(p["title"], t["expr"]) for p in panels() for t in p["targets"]]


def expressions():
    """(title, expression), with Grafana's variables replaced."""
    for title, text in raw_expressions():
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        yield title, text


def _structure(d):
    yield from ("no " + key for key in ("uid", "title", "schemaVersion", "templating", "time", "panels") if not d.get(key))
    variables = {v["name"]: v for v in d["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource" or variables["datasource"]["query"] != "prometheus":
        yield "the data source is no variable"
    if "id" in d or "__inputs" in d:
        yield "it is of one Grafana"
    ids = [p["id"] for p in d["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels of one id"
    yield from ("what kind is %s?" % p["type"] for p in d["panels"] if p["type"] not in KINDS)


def _place(d):
    """Nothing lies over another, or beside the 24 columns."""
    taken = {}
    for p in d["panels"]:
        g = p["gridPos"]
        if g["x"] + g["w"] > 24:
            yield "%s is too wide" % p["title"]
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            if taken.setdefault(cell, p["title"]) != p["title"]:
                yield "%s lies over %s" % (p["title"], taken[cell])
                break


def _sources(value, where=""):
    """The uids of all data sources in it."""
    if isinstance(value, dict):
        if "datasource" in value and value.get("type") != "dashboard":
            yield value["datasource"].get("uid")
        for v in value.values():
            yield from _sources(v)
    elif isinstance(value, list):
        for v in value:
            yield from _sources(v)


def _panel(p):
    if not p.get("description") or not p["targets"]:
        yield "%s has no description, or asks for nothing" % p["title"]
    refs = [t["refId"] for t in p["targets"]]
    if len(set(refs)) != len(refs):
        yield "%s: two queries of one name" % p["title"]


def _names(samples):
    return {name + suffix for name, kind in samples.types.items() for suffix in SUFFIXES[kind]}


def _queries(samples):
    known, asked = _names(samples), set()
    for title, text in raw_expressions() + [("$domain", v["query"]["query"]) for v in load()["templating"]["list"] if v["type"] == "query"]:
        names = set(re.findall(r"\bvcpuhp_\w+", text))
        asked |= names
        yield from ("%s: there is no %s" % (title, n) for n in sorted(names - known))
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", text)) | set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", text))))
        yield from ("%s: there is no label %s" % (title, n) for n in sorted(labels - LABELS))
        if names and "$domain" not in (title, *re.findall(r"\$domain", text)) and not names & {
                "vcpuhp_domains", "vcpuhp_build_info", "vcpuhp_libvirt_up"}:  # fmt: skip
            yield "%s is not of the chosen domains" % title
    if len(asked) < 20:
        yield "it shows %d metrics only" % len(asked)


def mistakes(samples):
    """What is wrong with it, in words. @samples: of a daemon, all whose families are in it."""
    d = load()
    found = [*_structure(d), *_place(d), *(m for p in panels() for m in _panel(p)), *_queries(samples)]
    return found + ["a data source is not the variable"] * (set(_sources(d)) - {"${datasource}"} != set())


def judge():
    """What promtool says to its expressions, as rules."""
    rules = [{"record": "x:%d" % i, "expr": text} for i, (_, text) in enumerate(expressions())]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, f)  # JSON is YAML
        f.flush()
        return scrape.promtool("check", "rules", "--lint=none", f.name)
