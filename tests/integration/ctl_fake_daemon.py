#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhpctl against a scripted Varlink server: command lines, replies good and bad.

A row of the table is a whole case: command line, exit status, what stands on stdout and stderr,
what the daemon was asked. How the server chooses its reply is told in tests/lib/fakevcpuhpd.py.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from xml.etree import ElementTree

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import perfetto
import recordings as rec
import tap
from daemon import run_as_nobody
from fakevcpuhpd import BAD, CTL, SECONDS, environment, run, server, why_not
from tap import case, equal, matches
from traces import TRACES

SVG = "{http://www.w3.org/2000/svg}"
VERBS = ("list host states info vcpucount setvcpus setvcpu target domain-xml doctor ops op wait cancel events top trace "
         "fail attach detach metrics help").split()  # fmt: skip


# The table: command line, exit status, pattern of stdout, pattern of stderr, and (optionally) keys
# of the last request. "" wants nothing at all, None does not look.

NO = ""
TRY = r"^vcpuhpctl: .*\nTry 'vcpuhpctl %s--help'.\n$"
ROWS = [
    # Looking.
    ("list", 0, r"^DOMAIN +HYPERVISOR .*\nweb1 +qemu +running +8 +4 +3 +1 +0.1.0\ndb +qemu +attaching +- +- +- +- +no\n$", NO),
    ("-o json list", 0, r'^{"domain":"web1",.*}\n{"domain":"db",.*}\n$', NO),
    ("list -ojson", 0, r'^{"domain":"web1"', NO),
    ("--output=json list -q", 0, r'^{"domain":"web1"', NO),
    ("host", 0, r"kvm.max_vcpus +1024\n.*config.deadlines.qmp_reply_ms +5000\n", NO),
    ("-o json host", 0, r'^{"version":"0.1.0".*}\n$', NO),
    ("states", 0, r"STATE +NAME.*\n2 +qemu:device +host +no +5000 ms +30000 ms +QEMU has the vCPU\n", NO),
    ("states web1", 0, r"44 +online", NO, {"domain": "web1"}),
    ("states -o json", 0, r'^{"state":0,.*}\n{"state":2,.*}\n{"state":44,.*}\n$', NO),
    ("info web1", 0, r"Guest kernel: +6.1.0.*\nVCPU +CPU +STATE +NAME +RAN-ON +OWNED +PENDING +DRIFT\n"
     r"0 +0 +44 +online +0 +no +- +-\n.*3 +3 +6 +standby +- +yes +unplug +the guest brought", NO),
    ("info db", 0, r"Online: +-\n.*Not attached: +cannot connect to /q: Connection refused\n"
     r"Leaving: +-\nAgent: +no\nNo agent: +no agent has answered\n", NO),
    ("info web1", 0, r"Not attached: +-\nLeaving: +-\nAgent: +yes\nNo agent: +-\n", NO),
    ("-ojson info web1", 0, r'^{"domain":"web1",.*"vcpus":\[.*\]}\n$', NO),
    ("vcpucount web1", 0, r"^maximum +8\npresent +4\nonline +3\nstandby +1\n$", NO),
    ("vcpucount web1 --maximum", 0, r"^8\n$", NO),
    ("vcpucount web1 --present", 0, r"^4\n$", NO),
    ("vcpucount --online web1", 0, r"^3\n$", NO),
    ("vcpucount web1 --standby", 0, r"^1\n$", NO),
    ("vcpucount web1 --st", 0, r"^1\n$", NO),
    ("vcpucount db", 0, r"^maximum +-\npresent +-\nonline +-\nstandby +-\n$", NO),
    ("vcpucount db --online", 6, NO,
     r"^vcpuhpctl: how many vCPUs db has online is not known: no agent is connected: no agent has answered\n$"),
    ("-o json vcpucount db --standby", 6, r'^{"error":{"code":"NoAgent","text":"how many vCPUs db has at standby is not known: .*"}}\n$', r"not known"),
    ("vcpucount db --present", 11, NO, r"^vcpuhpctl: how many vCPUs db has plugged is not known: QEMU is not attached: cannot connect"),
    ("vcpucount db --maximum -o json", 11, r'^{"error":{"code":"VmGone",', r"how many vCPUs db can have"),
    ("-o json vcpucount db", 0, r'^{"maximum":null,"present":null,"online":null,"standby":null}\n$', NO),
    ("-o json vcpucount web1", 0, r'^{"maximum":8,"present":4,"online":3,"standby":1}\n$', NO),
    ("-o json vcpucount web1 --online", 0, r'^{"online":3}\n$', NO),
    ("doctor web1", 0, r"^CHECK +SEVERITY +FINDING\nagent +ok +the agent is connected\nowner +warning +it is \?\[2JNova's\n +to do: +look there\n$", NO, {"domain": "web1"}),
    ("-o json doctor web1", 0, r'^{"check":"agent","severity":"ok","text":"the agent is connected","advice":null}\n{"check":"owner",.*}\n$', NO),
    ("doctor", 4, r"^CHECK .*\nlibvirt +error +not connected\n +to do: +start it\n$", NO, {"domain": None}),
    ("-o json doctor", 4, r'^({"check":.*}\n){3}$', NO),
    ("doctor err-NoSuchDomain", 10, NO, r"^vcpuhpctl: "),
    ("doctor varlink-MethodNotFound", 1, NO, r"the daemon does not know this request \(MethodNotFound\)"),
    ("metrics", 0, r"^# TYPE.*# EOF\n$", NO),
    ("metrics --format prometheus", 0, r"^# TYPE", NO, {"format": "prometheus"}),
    ("metrics --format=openmetrics", 0, r"# EOF\n$", NO, {"format": "openmetrics"}),
    ("metrics --format json", 2, NO, r"^vcpuhpctl: 'json' is no format; there are openmetrics and prometheus"),
    ("metrics -o json", 0, r'^{"text":"# TYPE', NO),
    ("ops", 0, r"^ID +DOMAIN +RESULT +ASKED +VCPUS\nop-1 +web1 +done +4 +3\nop-1 +web1 +accepted +4 +3\n$", NO),
    ("ops web1 -o json", 0, r'^{"op":"op-1".*}\n{"op":"op-1",.*}\n$', NO, {"domain": "web1"}),
    # Changing.
    ("setvcpus web1 4", 0, r"^web1: done: 4 online, 0 standby, 4 present of 8\n$",
     r"^vcpu 3: qemu:device ... 3.1 ms\nvcpu 3 \(cpu3\): ap:online ... 76.0 ms\nvcpu 3 \(cpu3\): ap:verify ... 1.5 ms\n$", {"kernel_steps": False}),
    ("setvcpus waits 4", 0, r"^web1: done", r"^web1: waiting for QEMU: \?\[2Jno\nvcpu 3: qemu:device"),
    ("setvcpus waits 4 -o json", 0, r'^({"progress":{"op":"op-1","vcpu":3.*}}\n){8}{"op":', r"^web1: waiting for QEMU: \?\[2Jno\n$"),
    ("-q setvcpus waits 4", 0, r"^web1: done", NO),
    ("-q setvcpus web1 4", 0, r"^web1: done", NO),
    ("setvcpus web1 4 -o json", 0, r'^({"progress":{"op":"op-1","vcpu":3.*}}\n){8}{"op":".*"result":"done",.*}\n$', NO, {"kernel_steps": None}),
    ("setvcpus web1 4 -o json -q", 0, r'^{"op":"[0-9a-f]{16}","domain":"web1","result":"done".*}\n$', NO),
    ("setvcpus partial 4", 3, r"partial: .*\nvcpu 3 \(cpu3\): rolled-back: ap:verify startup failed with EAGAIN: the timer did not fire; now offline\n$", None),
    ("setvcpus failed 4", 1, r"^web1: failed: 3 online", r"ap:verify ... 12.0 ms, failed: Resource temporarily unavailable \(-11\): "
     r"the timer did not fire\?\[2J\n.*ap:online down \(rollback\) ... 30.0 ms\n"),
    ("setvcpus refused 9", 4, r"^web1: refused by limit: ", r"vcpuhpctl: 9 vCPUs are more than the maximum of 8\n$"),
    ("-q setvcpus warned 4", 0, r"^web1: done: .*\n$", r"^vcpuhpctl: warning: too \?\[2Jmany\nvcpuhpctl: warning: and old\n$"),
    ("-o json -q setvcpus warned 4", 0, r'"warnings":\["too .*","and old"\]}\n$', NO),
    ("op warned", 0, None, r"^vcpuhpctl: warning: too \?\[2Jmany\nvcpuhpctl: warning: and old\n$"),
    ("setvcpus warned 5 --dry-run", 0, r"-> online\n$", r"^vcpuhpctl: warning: too many\n$"),
    ("-o json setvcpus warned 5 --dry-run", 0, r'"refusals":\[\],"warnings":\["too many"\]}\n$', NO),
    ("setvcpus pending 4", 5, r"^web1: pending: ", None),
    ("setvcpus no-agent 4", 6, r"^web1: no-agent: - online, - standby, 4 present of 8\n", None),
    ("setvcpus busy 4", 8, r"^web1: busy: ", None),
    ("setvcpus conflict 4", 8, r"^web1: conflict: ", None),
    ("setvcpus vm-gone 4", 11, r"^web1: vm-gone: - online, - standby, - present of 8\n", None),
    ("setvcpus stuck 4", 12, r"failed at ap:dyn.10-log: signal 9; the rollback failed at ap:threads: .* \(-110\); now ap:online\n$", None),
    ("setvcpus cancelled 4", 1, r"^web1: cancelled: ", None),
    ("-o json -q setvcpus stuck 4", 12, r'"result":"stuck"', NO),
    ("setvcpus web1 4 --op-id my.op:1", 0, None, None, {"op": "my.op:1", "count": 4, "wait": True}),
    ("setvcpus web1 4 --standby 2 --policy at-least=3 --timeout 1.5 --foreign -q", 0, None, NO,
     {"standby": 2, "policy": "at-least=3", "timeout_ms": 1500, "foreign": True}),
    ("setvcpus --policy best-effort web1 --standby=0 4 -q", 0, None, NO, {"standby": 0, "policy": "best-effort"}),
    ("setvcpus web1 4 --no-wait --op-id a1", 0, r"^a1\n$", NO, {"wait": False}),
    ("setvcpus web1 4 --no-wait", 0, r"^[0-9a-f]{16}\n$", NO),
    ("-o json setvcpus web1 4 --no-wait", 0, r'^{"op":.*"result":"accepted"', NO),
    ("setvcpus refused 9 --no-wait", 4, r"^web1: refused by limit", r"maximum of 8"),
    ("setvcpus web1 5 --dry-run", 0, r"^vcpu 3: offline -> online\nvcpu 4: standby -> online\n$", NO, {"dry_run": True}),
    ("setvcpus refused 5 --dry-run", 4, r"^refused: vCPU 0 can't be unplugged\n$", NO),
    ("-o json setvcpus refused 5 --dry-run", 4, r'^{"plan":\[\],"refusals":\["vCPU 0 can\'t be unplugged"\]}\n$', NO),
    ("-o json setvcpu web1 3,4 --enable --dry-run", 0, r'^{"plan":\[{"vcpu":3,"from":"offline","to":"online"},.*\],"refusals":\[\]}\n$', NO),
    ("setvcpu web1 3-5,^4 --enable -q", 0, r"^web1: done", NO, {"vcpus": "3,5", "target": "online"}),
    ("setvcpu web1 3 --disable -q", 0, None, NO, {"vcpus": "3", "target": "offline"}),
    ("setvcpu web1 --standby 3 -q", 0, None, NO, {"vcpus": "3", "target": "standby"}),
    # The persistent configuration.
    ("setvcpus web1 4 -q", 0, None, NO, {"affect": None}),
    ("setvcpus web1 4 --live -q", 0, None, NO, {"affect": "live"}),
    ("setvcpu web1 3 --standby --live -q", 0, None, NO, {"affect": "live"}),
    ("setvcpus web1 4 --current -q", 0, None, NO, {"affect": "current"}),
    ("setvcpu config 3 --enable --config --live -q", 0, None, NO, {"affect": "live+config", "target": "online"}),
    ("setvcpus config 4 --config -q", 0, r"^web1: done: persistent configuration 4 of 8\n$", NO, {"affect": "config"}),
    ("setvcpus config 4 --config --no-wait", 0, r"^web1: done: persistent configuration 4 of 8\n$", NO),
    ("-o json -q setvcpus config 4 --config", 0, r'^{"op":null,.*"config":{"result":"done","present":4,"maximum":8,"error":null}}\n$', NO),
    ("-q setvcpus config 4 --live --config", 0,
     r"^web1: done: 4 online, 0 standby, 4 present of 8; persistent configuration 4 of 8\n$", NO),
    ("-q setvcpus half 4 --live --config", 3, r"4 present of 8; persistent configuration failed\n$",
     r"^vcpuhpctl: the running domain has what was asked; libvirt refuses\n$"),
    ("-q setvcpus unasked 4 --live --config", 1, r"; persistent configuration not changed\n", None),
    ("op config", 0, r"^web1: done: .*; persistent configuration 4 of 8\nVCPU", NO),
    ("setvcpus config 5 --live --config --dry-run", 0,
     r"standby -> online\npersistent configuration: 1 -> 5 vCPUs\n$", NO),
    ("-o json setvcpus config 5 --config --dry-run", 0, r'"refusals":\[\],"config":{"from":1,"to":5,"maximum":8}}\n$', NO),
    ("target web1 3 ap:threads -q", 0, None, NO, {"vcpus": "3", "target": "ap:threads"}),
    ("target web1 3 ap:dyn.10-log -q", 0, None, NO, {"target": "ap:dyn.10-log"}),
    ("target web1 3 8 --timeout 5 --dry-run", 0, r"->", NO, {"target": "8"}),
    # Operations.
    ("op done", 0, r"^web1: done: .*\nVCPU +CPU +STATE.*\n3 +3 +44 +online +ok +- +3 +99.5 ms +-\n$", NO),
    ("op failed", 0, r"^web1: failed: ", NO),
    ("op done -o json", 0, r'^{"op":"done",.*}\n$', NO),
    ("wait done", 0, r"^web1: done: ", NO, {"wait": True}),
    ("wait failed --timeout 3", 1, r"^web1: failed: ", NO, {"timeout_ms": 3000}),
    ("wait stuck -q", 12, r"^web1: stuck: ", NO),
    ("-o json wait done", 0, r'^{"progress":{.*}}\n{"op":"done".*\n$', NO),
    ("wait err-TimedOut", 5, NO, r"^vcpuhpctl: a sentence\n$"),
    ("cancel x", 0, r"^web1: cancelled: ", NO, {"op": "x"}),
    ("cancel accepted", 0, r"^web1: accepted: ", NO),
    ("cancel done", 4, r"^web1: done: ", r"had ended before"),
    ("cancel stuck", 12, r"^web1: stuck: ", r"had ended before"),
    # Events, trace and the rest.
    ("events --count 4", 0, r"^\d\d:\d\d:\d\d\.\d{3} web1 step op op-1 vcpu 3 \(cpu3\) ap:verify exit failed: .*\(-11\)\n"
     r".* web1 agent gone\n.* web1 log: \?\]0;owned\?a line of the guest\n.* web1 operation op op-1 done\n$", NO),
    ("events web1 --count 1 -o json", 0, r'^{"op":"op-1",.*"type":"step",.*}\n$', NO, {"domain": "web1"}),
    ("events web1 --timeout 1 --count 2", 0, r"^[^\n]*\n[^\n]*\n$", NO),
    ("events ends", 9, None, r"ended the events"),
    ("events web1 --load --count 5", 0, r"\n[\d:.]+ web1 load pressure 42.1 18.05 busy 87.5 steal - load 5.12 runnable 9\n$", NO,
     {"domain": "web1", "load_ms": 2000}),
    ("events --load --interval 7.5 --count 1", 0, None, NO, {"domain": None, "load_ms": 7500}),
    ("events web1 --count 1", 0, None, NO, {"load_ms": None}),
    ("events --interval 7", 2, NO, r"^vcpuhpctl: --interval needs --load\n"),
    ("top --count 1 --interval 1", 0, r"^DOMAIN +STATUS +MAX .*OPERATION\n"
     r"web1 +running +8 +4 +3 +1 +0 +87.5 +- +42.1 +18.05 +5.12 +9 -\ndb +attaching +- +- +- +- +- +- +- +- +- +- +- -\n$", NO),
    ("-q top web1 --count 2 --interval 1", 0, r"^(web1 +running +8 [^\n]* 9 op-1\n){2}$", NO, {"domain": "web1"}),
    ("-o json top --count 1 --interval 1", 0, r'^{"domain":"web1",.*"load":{.*}\n{"domain":"db",.*"load":null,.*}\n$', NO),
    ("-o json top web1 --count 1 --interval 1", 0, r'^{"domain":"web1",.*"cpus":\[.*"vcpus":\[.*}\n$', NO),
    ("top ends", 9, NO, r"ended the events"),
    ("top err-NoSuchDomain", 10, NO, r"^vcpuhpctl: "),
    ("top --interval 0", 2, NO, r"^vcpuhpctl: --interval needs seconds from 1 to 86400, not '0'\n"),
    ("top --load", 2, NO, r"unknown option --load"),
    ("trace web1 -O -", 0, r'^{"traceEvents":\[.*"displayTimeUnit":"ms"}\n$', NO),
    ("trace web1 --op x -O-", 0, None, NO, {"op": "x"}),
    ("trace web1 -O /nonexistent/f", 1, NO, r"cannot write /nonexistent/f: No such file"),
    ("fail web1 3 ap:verify", 0, NO, NO, {"domain": "web1", "vcpu": 3, "state": "ap:verify"}),
    ("fail web1 3 ap:verify -o json", 0, r'^{"domain":"web1","vcpu":3,"state":"ap:verify","result":"armed"}\n$', NO),
    ("attach new --qmp /q --agent /a", 0, NO, NO, {"name": "new", "qmp": "/q", "agent": "/a"}),
    ("attach new --qmp q --agent /a", 0, NO, NO, {"qmp": os.path.join(os.getcwd(), "q")}),
    ("detach new", 0, NO, NO, {"name": "new"}),
    # Errors before an operation exists.
    ("info err-NoSuchDomain", 10, NO, r"^vcpuhpctl: a sentence\n$"),
    ("-o json info err-NoSuchDomain", 10, r'^{"error":{"code":"NoSuchDomain","text":"a sentence"}}\n$', r"^vcpuhpctl: a sentence\n$"),
    ("fail err-NoSuchVcpu 3 9", 10, NO, r"a sentence"),
    ("op err-NoSuchOperation", 10, NO, r"a sentence"),
    ("setvcpus err-InvalidArgument 3", 2, NO, r"a sentence"),
    ("target err-Refused 3 9", 4, NO, r"a sentence"),
    ("setvcpus err-NoAgent 3", 6, NO, r"a sentence"),
    ("setvcpus err-PermissionDenied 3", 7, NO, r"a sentence"),
    ("setvcpus err-Busy 3", 8, NO, r"a sentence"),
    ("setvcpus err-Conflict 3", 8, NO, r"a sentence"),
    ("setvcpus err-VmGone 3", 11, NO, r"a sentence"),
    ("setvcpus err-Internal 3", 1, NO, r"a sentence"),
    ("setvcpus err-SomethingNew 3", 1, NO, r"a sentence"),
    ("setvcpus varlink-InvalidParameter 3", 2, NO, r"parameter count"),
    ("setvcpus varlink-PermissionDenied 3", 7, NO, r"permission denied"),
    ("events varlink-MethodNotFound", 1, NO, r"does not know this request"),
    # A slot that no domain has is no malformed word; nothing is asked.
    ("setvcpu web1 4096 --enable", 10, NO, r"^vcpuhpctl: no such vCPU: 4096\n$"),
    ("-o json target web1 99999999999 online", 10, r'^{"error":{"code":"NoSuchVcpu",', r"no such vCPU"),
    ("fail web1 5000 9", 10, NO, r"no such vCPU: 5000"),
    # Usage.
    ("", 2, NO, TRY % ""),
    ("frobnicate", 2, NO, r"unknown command 'frobnicate'\n" + "Try 'vcpuhpctl --help'"),
    ("lis", 2, NO, TRY % ""),
    ("-o json frobnicate", 2, r'^{"error":{"code":"InvalidArgument","text":"unknown command \'frobnicate\'"}}\n$', TRY % ""),
    ("list extra", 2, NO, TRY % "list "),
    ("list --frob", 2, NO, r"unknown option --frob\n"),
    ("list -o", 2, NO, r"option -o needs a value"),
    ("list -o yaml", 2, NO, TRY % "list "),
    ("list --quiet=yes", 2, NO, r"takes no value"),
    ("--policy all setvcpus web1 4", 2, NO, r"before the command"),
    ("vcpucount web1 --o", 2, NO, r"ambiguous"),
    ("vcpucount web1 --online --present", 2, NO, r"only one of"),
    ("info", 2, NO, r"an argument is missing: info DOMAIN"),
    ("info a/b", 2, NO, TRY % "info "),
    ("info " + "a" * 65, 2, NO, TRY % "info "),
    ("setvcpus web1", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 0", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 65536", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 +4", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 -4", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4.0", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 0x4", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 5", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --standby", 2, NO, r"needs a value: N"),
    ("setvcpus web1 4 --standby -1", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --policy most", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --policy at-least=0", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --timeout 0", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --timeout 0.5", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --timeout 86401", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --timeout 5s", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --op-id a/b", 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --op-id " + "a" * 65, 2, NO, TRY % "setvcpus "),
    ("setvcpus web1 4 --enable", 2, NO, r"unknown option --enable"),
    ("setvcpus web1 4 --current --live", 2, NO, r"--current and --live exclude each other\n"),
    ("setvcpus web1 4 --live --current --config", 2, NO, r"--current and --"),
    ("setvcpus web1 4 --config --standby 1", 2, NO, r"--config and --standby exclude each other\n"),
    ("setvcpu web1 3 --standby --config --live", 2, NO, r"--config and --standby exclude each other\n"),
    ("target web1 3 online --config", 2, NO, r"unknown option --config"),
    ("setvcpu web1 3", 2, NO, r"one of --enable, --disable or --standby is needed"),
    ("setvcpu web1 3 --enable --disable", 2, NO, r"only one of"),
    ("setvcpu web1 3- --enable", 2, NO, TRY % "setvcpu "),
    ("setvcpu web1 1,^1 --enable", 2, NO, TRY % "setvcpu "),
    ("setvcpu web1 3,,4 --enable", 2, NO, TRY % "setvcpu "),
    ("target web1 3 nowhere", 2, NO, r"'nowhere' is no state"),
    ("target web1 x online", 2, NO, TRY % "target "),
    ("target web1 3 45", 2, NO, TRY % "target "),
    ("op a/b", 2, NO, TRY % "op "),
    ("wait x --timeout -1", 2, NO, TRY % "wait "),
    ("wait", 2, NO, TRY % "wait "),
    ("cancel", 2, NO, TRY % "cancel "),
    ("events --count 0", 2, NO, TRY % "events "),
    ("trace web1", 2, NO, r"option -O is needed"),
    ("fail web1 3", 2, NO, TRY % "fail "),
    ("attach new --qmp /q", 2, NO, r"option --agent is needed"),
    ("attach new --qmp= --agent /a", 2, NO, r"--qmp needs a path"),
    ("-S " + "/x" * 60 + " list", 2, NO, r"too long"),
    ("help nothing", 2, NO, r"unknown command 'nothing'"),
    # Replies that make no sense end as "not reachable", never in a wrong success or a crash.
    *[("setvcpus %s 4" % name, 9, NO, r"^vcpuhpctl: .*(makes no sense|closed the connection)") for name in BAD
      if name not in ("bad-cut",)],
    ("info bad-shape", 9, NO, r"makes no sense"),
    ("info bad-null", 9, NO, r"makes no sense"),
    ("op bad-nothing", 9, NO, r"makes no sense"),
    ("info closes", 9, NO, r"closed the connection"),
    ("-o json info closes", 9, r'^{"error":{"code":"NoDaemon","text":"the daemon at', r"closed the connection"),
    ("setvcpus closes 4 --op-id o7", 9, NO, r"closed the connection\noperation o7 goes on with the next daemon, if it was accepted; see: "),
    # Help and version.
    ("--help", 0, r"Commands:\n  list .*Exit codes:\n  0 .*\n  130 ", NO),
    ("-h", 0, r"^vcpuhpctl: ", NO),
    ("help", 0, r"^vcpuhpctl: ", NO),
    ("--version", 0, r"^vcpuhpctl \d+\.\d+\.\d+\n$", NO),
    ("list --version", 0, r"^vcpuhpctl \d", NO),
    ("setvcpus web1 --help", 0, r"^Usage: vcpuhpctl setvcpus DOMAIN COUNT \[OPTIONS\]\n.*--policy", NO),
    *[("%s --help" % verb, 0, r"^Usage: vcpuhpctl %s\b.*\n.*Global options:\n" % verb, NO) for verb in VERBS],
    *[("help %s" % verb, 0, r"^Usage: vcpuhpctl %s\b" % verb, NO) for verb in VERBS],
]  # fmt: skip


def check_text(text, pattern, what):
    if pattern == NO:
        equal(text, "", what)
    elif pattern is not None:
        matches(pattern, text, what)


def check_row(row):
    line, status, out, err = row[:4]
    with server() as (daemon, path, _):
        p = run(line.split(), path)
        equal(p.returncode, status, "exit status (stdout %r, stderr %r)" % (p.stdout[-300:], p.stderr[-300:]))
        check_text(p.stdout, out, "stdout")
        check_text(p.stderr, err, "stderr")
        if "json" in line.split() or "-ojson" in line.split():
            for text in p.stdout.splitlines():
                assert isinstance(json.loads(text), dict), text
        if status == 2 and "err-" not in line and "varlink-" not in line:
            equal(daemon.calls, [], "requests for a line that is not understood")
        if len(row) > 4:
            asked = [c["parameters"] for c in daemon.calls if not c["method"].endswith("GetDomain")][-1]
            equal({k: asked.get(k) for k in row[4]}, row[4], "request")


def slices():
    """The rows in cases of a handful each, named after their first."""
    size = 12
    for i in range(0, len(ROWS), size):
        rows = ROWS[i : i + size]

        def check(rows=rows):
            wrong = []
            for row in rows:
                try:
                    check_row(row)
                except (AssertionError, subprocess.TimeoutExpired) as e:
                    wrong.append("vcpuhpctl %s: %s" % (row[0], e))
            assert not wrong, "\n".join(wrong)

        check.__name__ = "rows %d to %d, from: vcpuhpctl %s" % (i + 1, i + len(rows), rows[0][0][:40])
        case(deadline=120)(check)


slices()


# What a table cannot say.


@case(deadline=SECONDS)
def all_operations_of_a_large_domain_are_listed():
    with server() as (daemon, path, _):
        p = run(["ops", "many"], path)
        equal((p.returncode, p.stderr), (0, ""))
        equal([line.split() for line in p.stdout.splitlines()[1:]],
              [["op-%d" % n, "web1", "done", "4", "1-254"] for n in range(64)])  # fmt: skip
        p = run(["-o", "json", "ops", "many"], path)
        equal((p.returncode, p.stderr), (0, ""))
        equal([json.loads(line)["vcpus"][253]["vcpu"] for line in p.stdout.splitlines()], [254] * 64)
        equal({c.get("more") for c in daemon.calls}, {True})


@case(deadline=SECONDS)
def an_option_names_the_socket_and_wins_over_the_environment():
    with server() as (daemon, path, folder):
        for args in (["-S", path, "list"], ["list", "--socket=" + path]):
            p = run(args, os.path.join(folder, "nothing"))
            equal(p.returncode, 0, p.stderr)
        equal(len(daemon.calls), 2)


@case(deadline=SECONDS)
def a_daemon_that_is_not_there_is_named_with_the_reason():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        p = run(["list"], path)
        equal((p.returncode, p.stdout), (9, ""))
        equal(p.stderr, "vcpuhpctl: cannot reach the daemon at %s: No such file or directory; "
              "is vcpuhpd running?\n" % path)  # fmt: skip
        p = run(["-o", "json", "list"], path)
        equal(json.loads(p.stdout)["error"]["code"], "NoDaemon")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
        p = run(["list"], path)
        equal(p.returncode, 9)
        matches("Connection refused; is vcpuhpd running", p.stderr)


@case(deadline=SECONDS)
def a_socket_that_may_not_be_opened_is_a_matter_of_permission():
    with server() as (_, path, folder):
        os.chmod(path, 0)
        os.chmod(folder, 0o755)
        p = run_as_nobody("-S", path, "list") if os.geteuid() == 0 else run(["list"], path)
        equal(p.returncode, 7)
        matches("Permission denied; are you in group vcpuhp", p.stderr)


@case(deadline=SECONDS)
def what_cannot_be_written_is_no_success():
    with server() as (_, path, _f), open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run([CTL, "list"], env=environment(path), stdout=full, timeout=SECONDS,
                           stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
        equal(p.returncode, 1)
        matches("cannot write the output: No space left", p.stderr)


@case(deadline=SECONDS)
def events_end_with_their_timeout():
    with server() as (_, path, _f):
        start = time.monotonic()
        p = run(["events", "--timeout", "1", "-o", "json"], path)
        equal((p.returncode, len(p.stdout.splitlines())), (0, len(rec.EVENTS)))
        took = time.monotonic() - start
        assert 0.9 < took < 5, took


@case(deadline=SECONDS)
def a_trace_is_whole_or_not_there():
    with server() as (_, path, folder):
        out = os.path.join(folder, "trace.json")
        p = run(["trace", "web1", "-O", out], path)
        equal((p.returncode, p.stdout), (0, ""))
        with open(out, encoding="utf-8") as f:
            trace = json.load(f)
        equal(trace["displayTimeUnit"], "ms")
        spans = {e["name"]: e for e in trace["traceEvents"] if e["ph"] == "X"}
        equal([(s["pid"], s["tid"], s["ts"], s["dur"]) for s in spans.values()],
              [(1, 10003, 0, 3100), (2, 20003, 10000, 76000), (3, 30003, 20000, 1000)])  # fmt: skip
        equal([spans["ap:online"]["args"][key] for key in ("vcpu", "error_us")], [3, 40])
        names = {(e["pid"], e["args"]["name"]) for e in trace["traceEvents"] if e["name"] == "process_name"}
        equal(names, {(1, "host"), (2, "guest agent"), (3, "guest kernel")})
        equal(os.stat(out).st_mode & 0o777, 0o666 & ~current_umask())
        # A failing write leaves the old file and nothing beside it.
        p = run(["trace", "closes", "-O", out], path)
        equal(p.returncode, 9)
        with open(out, encoding="utf-8") as f:
            equal(json.load(f), trace)
        equal(sorted(os.listdir(folder)), ["control", "trace.json"])


@case(deadline=SECONDS)
def a_picture_is_well_formed_and_tells_every_span():
    with server() as (_, path, folder):
        out = os.path.join(folder, "trace.svg")
        p = run(["trace", "web1", "--svg", "-O", out], path)
        equal((p.returncode, p.stdout), (0, ""))
        root = ElementTree.parse(out).getroot()
        equal(root.tag, SVG + "svg")
        titles = [t.text for t in root.iter(SVG + "title")]
        assert len(titles) == 3 and any(t.startswith("ap:online: 76.0 ms") for t in titles), titles
        words = " ".join("".join(t.itertext()) for t in root.iter(SVG + "text"))
        assert "vCPUs of web1" in words and "vcpu 3" in words and "ap:online 76.0" in words, words
        lowest = max(float(t.get("y")) for t in root.iter(SVG + "text"))
        assert lowest < float(root.get("height")), (lowest, root.get("height"))


LETTERS = {"what": 8, "op": 8, "vcpu": 7, "times": 5.5, "why": 5.5, "in": 5.5}  # pixels of one, about; else 6


def box(text):
    """Where a label stands: (left, right, line)."""
    kind, x, words = text.get("class"), float(text.get("x")), "".join(text.itertext())
    width = len(words) * LETTERS.get(kind, 6)
    left = x - {"lane": width, "tick": width / 2}.get(kind, 0)
    return left, left + width, float(text.get("y")), words


@case(deadline=SECONDS)
def labels_of_pictures_stand_clear_of_each_other():
    with server() as (_, path, folder):
        for name in TRACES:
            out = os.path.join(folder, name)
            equal(run(["trace", name, "--svg", "-O", out], path).returncode, 0, name)
            root = ElementTree.parse(out).getroot()
            boxes = sorted((box(t) for t in root.iter(SVG + "text")), key=lambda b: (b[2], b[0]))
            width, height = float(root.get("width")), float(root.get("height"))
            for left, right, y, words in boxes:
                assert left >= 0 and right <= width and 10 <= y <= height - 2, "%s: %s is cut off" % (name, words)
            for a, b in zip(boxes, boxes[1:]):
                assert b[2] - a[2] >= 6 or a[2] == b[2] and a[1] < b[0], "%s: %s and %s overlap" % (name, a, b)


@case(deadline=SECONDS)
def a_picture_says_what_failed_and_why():
    with server() as (_, path, folder):
        out = os.path.join(folder, "trace.svg")
        run(["trace", "rollback", "--svg", "-O", out], path)
        root = ElementTree.parse(out).getroot()
        texts = {}
        for t in root.iter(SVG + "text"):
            texts.setdefault(t.get("class"), []).append("".join(t.itertext()))
        equal(texts["why"], ["ap:dyn.50-licence failed: exit status 3: no licence for CPU 5"])
        equal((texts["vcpu"], texts["cpu"]), (["vcpu 4", "vcpu 5"], ["cpu 4", "cpu 5"]))
        assert "ap:online down 24.0" in texts["times"][1], texts
        drawn = [r.get("class").split()[1] for r in root.iter(SVG + "rect") if r.get("height") != "12"]
        equal((drawn.count("bad"), drawn.count("back")), (1, 6))


@case(deadline=SECONDS)
def the_tracks_of_a_trace_are_named_and_nest():
    with server() as (_, path, folder):
        for name, steps in TRACES.items():
            out = os.path.join(folder, name)
            run(["trace", name, "-O", out], path)
            with open(out, encoding="utf-8") as f:
                spans = perfetto.check(json.load(f))
            equal(len(spans) >= len(steps) / 2, True, name)


def current_umask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    tap.main(before=why_not)
