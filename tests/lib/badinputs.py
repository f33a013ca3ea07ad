# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of bad inputs: what is sent, and what must come of it.

Each row is one input and reads as a sentence; tests/integration/bad_input.py sends it to the real
programs and checks the answer, and that nothing has changed by it.

COMMANDS   program, command line, exit status, piece of the sentence on stderr
CONFIGS    the daemon's configuration file, piece of the error ("FILE" stands for the file)
AGENT      the agent's configuration file, piece of the error
CONTROL    what it is, bytes to the control socket, what comes back:
           "NAME words" an error of that name that has these words in it,
           "NAME words, closed" and the connection is closed then, "closed" only that,
           "silence" nothing as long as the client stays
GUEST      what it is, bytes of a hostile agent made by a function of its session, what becomes of it:
           "dropped" a frame that is counted as not used, "skipped" bytes that are no frame,
           "ignored" taken and without effect, "down" the agent counts as away until it greets again
HOST       what it is, bytes of a hostile host to the agent, what comes back:
           "nothing", or "KICKED rc words", "ARMED rc"
QMP        what it is, when it comes ("greeting", the command that it answers, or "event"), the line,
           piece of the reason with which the daemon hangs up; "" it stays
"""

import json

import wire

CTL, D, A = "vcpuhpctl", "vcpuhpd", "vcpuhp-agent"
LONG = "x" * 65
HUGE = "99999999999999999999"

COMMANDS = [
    # COUNT: decimal digits, 1 to 65535.
    (CTL, "setvcpus web1 0", 2, "'0' is no count from 1 to 65535"),
    (CTL, "setvcpus web1 65536", 2, "'65536' is no count"),
    (CTL, "setvcpus web1 " + HUGE, 2, "is no count"),
    (CTL, "setvcpus web1 -1", 2, "'-1' is no count from 1 to 65535"),
    (CTL, "setvcpus web1 -- -1", 2, "'-1' is no count"),
    (CTL, "setvcpus web1 +3", 2, "'+3' is no count"),
    (CTL, "setvcpus web1 3.0", 2, "'3.0' is no count"),
    (CTL, "setvcpus web1 3e0", 2, "'3e0' is no count"),
    (CTL, "setvcpus web1 0x3", 2, "'0x3' is no count"),
    (CTL, "setvcpus web1 ' 3'", 2, "' 3' is no count"),
    (CTL, "setvcpus web1 ''", 2, "'' is no count"),
    (CTL, "setvcpus web1 \u0663", 2, "is no count"),
    (CTL, "setvcpus web1 3 4", 2, "'4' is one argument too many"),
    (CTL, "setvcpus web1", 2, "an argument is missing"),
    (CTL, "setvcpus web1 3 --standby -1", 2, "--standby needs a number from 0 to 65535"),
    (CTL, "setvcpus web1 3 --standby 65536", 2, "--standby needs a number"),
    (CTL, "setvcpus web1 9", 4, "8"),
    (CTL, "setvcpus web1 3 --standby 7", 4, "8"),
    # LIST: N, N-M, ^N with commas, not empty.
    (CTL, "setvcpu web1 '' --enable", 2, "'' is no list of vCPUs"),
    (CTL, "setvcpu web1 , --enable", 2, "',' is no list"),
    (CTL, "setvcpu web1 3, --enable", 2, "'3,' is no list"),
    (CTL, "setvcpu web1 3- --enable", 2, "'3-' is no list"),
    (CTL, "setvcpu web1 5-3 --enable", 2, "'5-3' is no list"),
    (CTL, "setvcpu web1 ^3 --enable", 2, "'^3' is no list"),
    (CTL, "setvcpu web1 3,^3 --enable", 2, "'3,^3' is no list"),
    (CTL, "setvcpu web1 3,,4 --enable", 2, "'3,,4' is no list"),
    (CTL, "setvcpu web1 3;4 --enable", 2, "'3;4' is no list"),
    (CTL, "setvcpu web1 3-4-5 --enable", 2, "'3-4-5' is no list"),
    (CTL, "setvcpu web1 '3 4' --enable", 2, "'3 4' is no list"),
    (CTL, "setvcpu web1 all --enable", 2, "'all' is no list"),
    (CTL, "setvcpu web1 8 --enable", 10, "8"),
    (CTL, "setvcpu web1 3-8 --enable", 10, "8"),
    (CTL, "setvcpu web1 4096 --enable", 10, "no such vCPU: 4096"),
    (CTL, "setvcpu web1 %s --enable" % HUGE, 10, "no such vCPU"),
    (CTL, "setvcpu web1 %s --enable" % ",".join(map(str, range(4096))), 10, "web1 has no vcpu 8"),
    (CTL, "setvcpu web1 %s --enable" % ",".join(map(str, range(1, 4096, 2))), 10, "web1 has no vcpu 9"),
    (CTL, "setvcpu web1 %s --enable" % ",".join("%d-%d" % (n, n + 1) for n in range(0, 4095, 3)), 10, "web1 has no vcpu 9"),
    (CTL, "setvcpu web1 0 --disable", 4, "0"),
    (CTL, "setvcpu web1 0-1 --standby", 4, "0"),
    # SEC: decimal, 1 to 86400.
    (CTL, "setvcpus web1 3 --timeout 0", 2, "--timeout needs seconds from 1 to 86400, not '0'"),
    (CTL, "setvcpus web1 3 --timeout 0.9", 2, "not '0.9'"),
    (CTL, "setvcpus web1 3 --timeout 86401", 2, "not '86401'"),
    (CTL, "setvcpus web1 3 --timeout 86400.5", 2, "not '86400.5'"),
    (CTL, "setvcpus web1 3 --timeout 5s", 2, "not '5s'"),
    (CTL, "setvcpus web1 3 --timeout -5", 2, "not '-5'"),
    (CTL, "setvcpus web1 3 --timeout 1e3", 2, "not '1e3'"),
    (CTL, "setvcpus web1 3 --timeout 5.", 2, "not '5.'"),
    (CTL, "setvcpus web1 3 --timeout .5", 2, "not '.5'"),
    (CTL, "wait x --timeout inf", 2, "not 'inf'"),
    # DOMAIN: an id, a UUID or a name.
    (CTL, "info nobody", 10, "there is no domain nobody"),
    (CTL, "info 7", 10, "there is no domain 7"),
    (CTL, "info 00000000-0000-0000-0000-000000000000", 10, "there is no domain 0000"),
    (CTL, "info WEB1", 10, "there is no domain WEB1"),
    (CTL, "info web1/", 2, "'web1/' is no name, UUID or id of a domain"),
    (CTL, "info ''", 2, "'' is no name"),
    (CTL, "info 'web 1'", 2, "'web 1' is no name"),
    (CTL, "info w\u00e9b", 2, "is no name"),
    (CTL, "info " + LONG, 2, "is no name"),
    (CTL, "info ../web1", 2, "'../web1' is no name"),
    (CTL, "setvcpus nobody 3", 10, "there is no domain nobody"),
    (CTL, "doctor nobody", 10, "there is no domain nobody: vcpuhpd.conf has no [Libvirt] section"),
    (CTL, "doctor WEB1", 10, "there is no domain WEB1"),
    (CTL, "doctor 'web 1'", 2, "'web 1' is no name, UUID or id of a domain"),
    (CTL, "doctor ''", 2, "'' is no name"),
    (CTL, "doctor web1 web1", 2, "'web1' is one argument too many"),
    (CTL, "doctor web1 --apply", 2, "unknown option --apply"),
    (CTL, "-S /nonexistent doctor", 9, "cannot reach the daemon at /nonexistent"),
    (CTL, "detach web1", 4, "stands in the configuration"),
    (CTL, "detach nobody", 10, "there is no domain nobody"),
    (CTL, "attach web1 --qmp /q --agent /a", 8, "there is a domain web1 already"),
    (CTL, "attach new --qmp /%s --agent /a" % ("q" * 107), 2, "qmp is longer than 107 bytes"),
    (CTL, "attach new --qmp /q", 2, "option --agent is needed"),
    (CTL, "attach new --qmp '' --agent /a", 2, "--qmp needs a path"),
    # STATE: a number or a name.
    (CTL, "target web1 3 nowhere", 2, "'nowhere' is no state"),
    (CTL, "target web1 3 45", 2, "'45' is no state"),
    (CTL, "target web1 3 -1", 2, "'-1' is no state"),
    (CTL, "target web1 3 6.0", 2, "'6.0' is no state"),
    (CTL, "target web1 3 ''", 2, "'' is no state"),
    (CTL, "target web1 3 ONLINE", 2, "'ONLINE' is no state"),
    (CTL, "target web1 3 ap:dyn.", 2, "'ap:dyn.' is no state"),
    (CTL, "target web1 3 ap:dyn.99-none", 2, "there is no state ap:dyn.99-none"),
    (CTL, "target web1 3 ap:kick", 4, "ap:kick is no state to rest in"),
    (CTL, "target web1 3 1", 4, "host:admit is no state to rest in"),
    (CTL, "target web1 3 12", 4, "12 is no state to rest in"),
    (CTL, "target web1 3 ap:online", 4, "ap:online is no state to rest in"),
    (CTL, "target web1 8 online", 10, "8"),
    (CTL, "target web1 65536 online", 10, "no such vCPU: 65536"),
    (CTL, "target web1 3,4 online", 2, "'3,4' is no vCPU number"),
    (CTL, "fail web1 1 standby", 4, "nothing can fail there"),
    (CTL, "fail web1 9 ap:verify", 10, "web1 has no vcpu 9"),
    (CTL, "fail web1 6 ap:verify", 4, "not started with --allow-fault-injection"),
    # Operation ids.
    (CTL, "op nothing", 10, "there is no operation nothing"),
    (CTL, "wait nothing", 10, "there is no operation nothing"),
    (CTL, "cancel nothing", 10, "there is no operation nothing"),
    (CTL, "op a/b", 2, "'a/b' is no operation id"),
    (CTL, "op ''", 2, "'' is no operation id"),
    (CTL, "setvcpus web1 3 --op-id " + LONG, 2, "is no operation id: 1 to 64"),
    (CTL, "setvcpus web1 3 --op-id 'a b'", 2, "'a b' is no operation id"),
    (CTL, "setvcpus web1 3 --op-id first", 8, "first"),
    (CTL, "trace web1 --op nothing -O -", 10, "there is no operation nothing"),
    # Options that do not go together, or do not exist.
    (CTL, "setvcpu web1 3", 2, "one of --enable, --disable or --standby is needed"),
    (CTL, "setvcpu web1 3 --enable --disable", 2, "only one of --enable"),
    (CTL, "vcpucount web1 --online --present", 2, "only one of"),
    (CTL, "setvcpus web1 3 --policy most", 2, "'most' is no policy"),
    (CTL, "setvcpus web1 3 --policy at-least=0", 2, "'at-least=0' is no policy"),
    (CTL, "setvcpus web1 3 --policy at-least=", 2, "'at-least=' is no policy"),
    (CTL, "setvcpus web1 3 --enable", 2, "unknown option --enable"),
    (CTL, "setvcpus web1 3 --foreign=yes", 2, "option --foreign takes no value"),
    (CTL, "events web1 --count 0", 2, "--count needs a number from 1"),
    (CTL, "trace web1", 2, "option -O is needed"),
    (CTL, "list -o yaml", 2, "'yaml' is no output form"),
    (CTL, "frobnicate", 2, "unknown command 'frobnicate'"),
    (CTL, "", 2, "a command is missing"),
    (CTL, "-S /nonexistent list", 9, "cannot reach the daemon at /nonexistent"),
    # The other two programs.
    (D, "--frobnicate", 2, "--frobnicate: unknown option"),
    (D, "frobnicate", 2, "frobnicate: unexpected argument"),
    (D, "--config", 2, "--config: needs a value"),
    (D, "--socket=", 2, "--socket=: needs a value"),
    (D, "--foreground=yes", 2, "takes no value"),
    (D, "-f", 2, "-f: unknown option"),
    (D, "--check-config --config /nonexistent", 1, "/nonexistent: cannot be read: No such file"),
    (D, "--check-config --config /dev/zero", 1, "/dev/zero: cannot be read"),
    (D, "--check-config --config /", 1, "/: cannot be read"),
    (A, "--frobnicate", 2, "--frobnicate: unknown option"),
    (A, "frobnicate", 2, "frobnicate: unknown option"),
    (A, "--port", 2, "--port: needs a value"),
    (A, "--port=", 2, "needs a value that is not empty"),
    (A, "--allow-fault-injection=1", 2, "takes no value"),
    (A, "--root /nonexistent", 1, "/nonexistent: No such file"),
    (A, "--config /nonexistent", 1, "/nonexistent: No such file"),
    (A, "--port /" + "p" * 4096, 1, "the value is too long"),
]  # fmt: skip

GOOD = "[Domain d]\nQMP=/q\nAgent=/a\n"

CONFIGS = [
    ("Operators=x\n", "FILE:1: Operators= stands before any section"),
    ("[Deamon]\n", "FILE:1: unknown section [Deamon]"),
    ("[daemon]\n", "FILE:1: unknown section [daemon]"),
    ("[Daemon\n", "FILE:1: a section header ends with ]"),
    ("[Daemon] x\n", "FILE:1: a section header ends with ]"),
    ("[Daemon]\nOperator=x\n", "FILE:2: unknown key Operator= in [Daemon]"),
    ("[Daemon]\noperators=x\n", "FILE:2: unknown key operators= in [Daemon]"),
    ("[Daemon]\nQMP=/q\n", "FILE:2: unknown key QMP= in [Daemon]"),
    ("[Daemon]\n\n\nnonsense\n", "FILE:4: not a KEY=VALUE line"),
    ("[Daemon]\nAllowFaultInjection=maybe\n", 'FILE:2: AllowFaultInjection= takes boolean, not "maybe"'),
    ("[Daemon]\nAllowFaultInjection=\n", "FILE:2: AllowFaultInjection= takes boolean"),
    ("[Daemon]\nOperationSec=0\n", 'FILE:2: OperationSec= takes seconds, not "0"'),
    ("[Daemon]\nOperationSec=-1\n", "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nOperationSec=1e3\n", "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nOperationSec=86401\n", "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nOperationSec=%s\n" % HUGE, "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nOperationSec=1.0005\n", "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nOperationSec=5s\n", "FILE:2: OperationSec= takes seconds"),
    ("[Daemon]\nEjectSec=9\nEjectMaxSec=8\n", "FILE:3: EjectMaxSec= is below EjectSec=; EjectSec= stands in FILE:2"),
    ("[Daemon]\nOperators=a b$\n", "FILE:2: Operators= takes groups"),
    ("[Daemon]\nOperators=-x\n", "FILE:2: Operators= takes groups"),
    ("[Daemon]\nOperators=@@x\n", "FILE:2: Operators= takes groups"),
    ("[Daemon]\nOperators=x\x01\n", "FILE:2: a control byte"),
    ("[Daemon]\nOperators=x\0y\n", "FILE:2: a control byte"),
    ("[Daemon]\nOperators=%s\n" % ("x " * 3000), "FILE:2: a line above"),
    ("[Domain ]\n", "FILE:1: not a domain name"),
    ("[Domain a/b]\n", "FILE:1: not a domain name: a/b"),
    ("[Domain %s]\n" % LONG, "FILE:1: not a domain name"),
    ("[Domain d]\nAgent=/a\n", "FILE:1: domain d needs QMP="),
    ("[Domain d]\nQMP=/q\n", "FILE:1: domain d needs Agent="),
    ("[Domain d]\nQMP=q\nAgent=/a\n", 'FILE:2: QMP= takes an absolute path of at most 107 bytes, not "q"'),
    ("[Domain d]\nQMP=/%s\nAgent=/a\n" % ("q" * 107), "FILE:2: QMP= takes an absolute path of at most 107 bytes"),
    (GOOD + GOOD, "FILE:4: domain d stands twice, first in line 1"),
    (GOOD + "[Domain e]\nQMP=/q\nAgent=/b\n", "FILE:4: domain e has a socket of domain d"),
    (GOOD + "MaxVcpus=0\n", "FILE:4: MaxVcpus= takes 1 to 65535"),
    (GOOD + "MaxVcpus=65536\n", "FILE:4: MaxVcpus= takes 1 to 65535"),
    (GOOD + "MaxVcpus=0x10\n", "FILE:4: MaxVcpus= takes 1 to 65535"),
    (GOOD + "Place=some\n", "FILE:4: Place= takes none or a CPU list"),
    (GOOD + "Place=3-1\n", "FILE:4: Place= takes none or a CPU list"),
    (GOOD + "Place=0-9999\n", "FILE:4: Place= takes none or a CPU list"),
    (GOOD + "Foreign=maybe\n", "FILE:4: Foreign= takes online or leave"),
    (GOOD + "OneByOne=Yes\n", "FILE:4: OneByOne= takes auto, yes or no"),
    (GOOD + "Allow=@\n", "FILE:4: Allow= takes users and @groups"),
    (GOOD + "Allow=@@wheel\n", "FILE:4: Allow= takes users and @groups"),
]  # fmt: skip

AGENT = [
    ("Port=x\n", "FILE:1: a line before [Agent]"),
    ("[Daemon]\n", "FILE:1: unknown section, only [Agent] exists"),
    ("[Agent\n", "FILE:1: unknown section"),
    ("[Agent]\nColour=red\n", "FILE:2: unknown key"),
    ("[Agent]\nport=x\n", "FILE:2: unknown key"),
    ("[Agent]\nnonsense\n", "FILE:2: neither a [section] nor Key=Value"),
    ("[Agent]\nPort=\n", "FILE:2: Port= is neither"),
    ("[Agent]\nPort=../port\n", "FILE:2: Port= is neither"),
    ("[Agent]\nPort=/dev/../sda\n", "FILE:2: Port= is neither"),
    ("[Agent]\nPort=%s\n" % ("p" * 5000), "FILE:2: Port= is too long"),
    ("[Agent]\nCallbacks=cpuhp.d\n", "FILE:2: Callbacks= is not an absolute path"),
    ("[Agent]\nCallbacks=/etc/../tmp\n", "FILE:2: Callbacks= is not an absolute path"),
    ("[Agent]\nExpedite=maybe\n", "FILE:2: Expedite= is none of auto, yes, no"),
    ("[Agent]\nIrq=on\n", "FILE:2: Irq= is neither off nor spread"),
    ("[Agent]\nCpuset=/abs\n", "FILE:2: Cpuset= is not a group path"),
    ("[Agent]\nCpuset=a/../..\n", "FILE:2: Cpuset= is not a group path"),
    ("[Agent]\n" + "".join("Cpuset=g%d\n" % i for i in range(17)), "FILE:18: too many Cpuset= lines"),
    ("[Agent]\nPort=a\0b\n", "FILE:2: a control character"),
    ("[Agent]\nPort=a\x1b[2J\n", "FILE:2: a control character"),
    ("[Agent]\n" + "#" * 70000, "FILE: "),
]  # fmt: skip


def call(method, envelope=None, **parameters):
    """A request's bytes. @envelope: more keys beside method and parameters."""
    name = method if "." in method else "io.vcpuhp.Manager." + method
    request = {"method": name, "parameters": parameters, **(envelope or {})}
    return json.dumps(request).encode() + b"\0"


def raw(parameters, method="SetVcpus"):
    """A request whose parameters are these bytes."""
    return b'{"method":"io.vcpuhp.Manager.%s","parameters":{%s}}\0' % (method.encode(), parameters.encode())


def set3(**more):
    return call("SetVcpus", domain="web1", count=3, **more)


INFO = b'{"method":"io.vcpuhp.Manager.ListDomains"}'

CONTROL = [
    # No JSON, or no request: the bytes cannot be cut into messages, so the connection ends.
    ("a text that is no JSON", b"hello\0", "InvalidParameter (not JSON), closed"),
    ("an empty message", b"\0", "InvalidParameter (not JSON), closed"),
    ("an array", b"[]\0", "InvalidParameter (not JSON), closed"),
    ("half an object", INFO[:-1] + b"\0", "InvalidParameter (not JSON), closed"),
    ("two objects in one message", INFO + INFO + b"\0", "InvalidParameter (not JSON), closed"),
    ("single quotes", b"{'method':'x'}\0", "InvalidParameter (not JSON), closed"),
    ("a comma too many", b'{"method":"x",}\0', "InvalidParameter (not JSON), closed"),
    ("a comment", b'{"method":"x"/**/}\0', "InvalidParameter (not JSON), closed"),
    ("NaN", raw('"domain":"web1","count":NaN'), "InvalidParameter (not JSON), closed"),
    ("a number beyond a double", raw('"domain":"web1","count":1e400'), "InvalidParameter (not JSON), closed"),
    ("a number of 70 digits", raw('"domain":"web1","count":' + "1" * 70), "InvalidParameter (not JSON), closed"),
    ("a number with a leading zero", raw('"domain":"web1","count":03'), "InvalidParameter (not JSON), closed"),
    ("a number beyond 64 bits", raw('"domain":"web1","count":18446744073709551616'), "InvalidParameter (not JSON), closed"),
    ("bytes that are no UTF-8", raw('"domain":"web1').replace(b"web1", b"\xff\xfe"), "InvalidParameter (not JSON), closed"),
    ("an overlong UTF-8 slash", raw('"domain":"web1"').replace(b"web1", b"\xc0\xaf"), "InvalidParameter (not JSON), closed"),
    ("a lone surrogate", raw('"domain":"\\ud800"'), "InvalidParameter (not JSON), closed"),
    ("an escaped NUL", raw('"domain":"web1\\u0000","count":3'), "InvalidParameter (not JSON), closed"),
    ("a newline in a string", raw('"domain":"web1\n"'), "InvalidParameter (not JSON), closed"),
    ("a NUL in the middle", raw('"domain":"we\0b1","count":3'), "InvalidParameter (not JSON), closed"),
    ("a key twice", raw('"domain":"web1","count":3,"count":4'), "InvalidParameter (not JSON), closed"),
    ("a key twice, once escaped", raw('"domain":"web1","count":3,"c\\u006funt":4'), "InvalidParameter (not JSON), closed"),
    ("20 levels of arrays", b'{"method":' + b"[" * 20 + b"]" * 20 + b"}\0", "InvalidParameter (too large), closed"),
    ("1000 elements", raw('"domain":[%s]' % ",".join(["1"] * 1100)), "InvalidParameter (too large), closed"),
    ("64 KiB and a byte", b'{"method":"' + b"x" * 65536 + b'"}\0', "InvalidParameter (too large), closed"),
    ("a megabyte without an end", b"x" * (1 << 20), "InvalidParameter (too large), closed"),
    ("a request without its NUL", INFO, "silence"),
    # The envelope.
    ("no method", b"{}\0", "InvalidParameter method"),
    ("a number as method", b'{"method":3}\0', "InvalidParameter method"),
    ("a method without an interface", b'{"method":"SetVcpus"}\0', "InvalidParameter method"),
    ("a method's name of 300 bytes", call("io." + "x" * 300), "InvalidParameter method"),
    ("an unknown interface", call("io.example.Foo"), "InterfaceNotFound io.example"),
    ("an unknown method", call("Frobnicate"), "MethodNotFound Frobnicate"),
    ("a method in other letters", call("setvcpus", domain="web1", count=3), "MethodNotFound setvcpus"),
    ("parameters that are an array", b'{"method":"io.vcpuhp.Manager.ListDomains","parameters":[]}\0', "InvalidParameter parameters"),
    ("an unknown key beside", call("ListDomains", {"frob": 1}), "InvalidParameter frob"),
    ("more that is a number", call("ListDomains", {"more": 1}), "InvalidParameter more"),
    ("a stream without more", call("Events"), "ExpectedMore"),
    ("oneway, which is not offered", set3().replace(b'"method"', b'"oneway":true,"method"'), "InvalidParameter oneway, closed"),
    ("upgrade, which is not offered", call("ListDomains", {"upgrade": True}), "InvalidParameter upgrade"),
    # Parameters.
    ("no parameters", b'{"method":"io.vcpuhp.Manager.SetVcpus"}\0', "InvalidParameter domain"),
    ("no count", call("SetVcpus", domain="web1"), "InvalidParameter count"),
    ("a parameter too many", set3(force=True), "InvalidParameter force"),
    ("a diagnosis of a number", call("Diagnose", domain=7), "InvalidParameter domain"),
    ("a diagnosis of a path", call("Diagnose", domain="../web1"), "InvalidArgument a domain is a name"),
    ("a diagnosis of 256 bytes", call("Diagnose", domain="x" * 256), "InvalidArgument domain is longer than 255 bytes"),
    ("a diagnosis with a wish", call("Diagnose", domain="web1", apply=True), "InvalidParameter apply"),
    ("a method that takes none", call("ListDomains", domain="web1"), "InvalidParameter domain"),
    ("a count that is a string", call("SetVcpus", domain="web1", count="3"), "InvalidParameter count"),
    ("a count of 3.0", call("SetVcpus", domain="web1", count=3.0), "InvalidParameter count"),
    ("a count of 3e0", raw('"domain":"web1","count":3e0'), "InvalidParameter count"),
    ("a count of true", call("SetVcpus", domain="web1", count=True), "InvalidParameter count"),
    ("a count of null", call("SetVcpus", domain="web1", count=None), "InvalidParameter count"),
    ("a count of 0", call("SetVcpus", domain="web1", count=0), "InvalidArgument count must be 1 to 65535"),
    ("a count of -1", call("SetVcpus", domain="web1", count=-1), "InvalidArgument count must be 1 to 65535"),
    ("a count of 65536", call("SetVcpus", domain="web1", count=65536), "InvalidArgument count must be"),
    ("a count of 2^32 + 3", call("SetVcpus", domain="web1", count=2**32 + 3), "InvalidArgument count must be"),
    ("a count of 2^64 - 1", call("SetVcpus", domain="web1", count=2**64 - 1), "InvalidArgument count must be"),
    ("standby of -2", set3(standby=-2), "InvalidArgument standby must be 0 to 65535"),
    ("a timeout of 999 ms", set3(timeout_ms=999), "InvalidArgument timeout_ms must be 1000 to 86400000"),
    ("a timeout of a day and a bit", set3(timeout_ms=86400001), "InvalidArgument timeout_ms"),
    ("a wait of 1", set3(wait=1), "InvalidParameter wait"),
    ("foreign as a word", set3(foreign="yes"), "InvalidParameter foreign"),
    ("an unknown policy", set3(policy="most"), "InvalidArgument policy must be"),
    ("a policy of at-least=0", set3(policy="at-least=0"), "InvalidArgument policy must be"),
    ("a policy of at-least=65536", set3(policy="at-least=65536"), "InvalidArgument policy must be"),
    ("a policy of at-least=+1", set3(policy="at-least=+1"), "InvalidArgument policy must be"),
    ("an operation id of 65 letters", set3(op=LONG), "InvalidArgument an operation id is"),
    ("an operation id with a slash", set3(op="../x"), "InvalidArgument an operation id is"),
    ("an empty operation id", set3(op=""), "InvalidArgument an operation id is"),
    ("an operation id of 256 bytes", set3(op="x" * 256), "InvalidArgument op is longer than 255 bytes"),
    ("an operation id used for something else", set3(op="first"), "Conflict first"),
    ("an empty domain", call("GetDomain", domain=""), "InvalidArgument a domain is"),
    ("a domain with a slash", call("GetDomain", domain="../web1"), "InvalidArgument a domain is"),
    ("a domain of 65 letters", call("GetDomain", domain=LONG), "InvalidArgument a domain is"),
    ("a domain of 300 letters", call("GetDomain", domain="x" * 300), "InvalidArgument domain is longer"),
    ("a domain with terminal escapes", call("GetDomain", domain="\x1b]0;owned\x07"), "InvalidArgument a domain is"),
    ("a domain that is not there", call("GetDomain", domain="nobody"), "NoSuchDomain there is no domain nobody"),
    ("a list that is empty", call("SetTarget", domain="web1", vcpus="", target="online"), "InvalidArgument a list of vCPUs"),
    ("a list with a newline", call("SetTarget", domain="web1", vcpus="3\n", target="online"), "InvalidArgument a list of vCPUs"),
    ("a list backwards", call("SetTarget", domain="web1", vcpus="5-3", target="online"), "InvalidArgument a list of vCPUs"),
    ("a list of 24000 bytes", call("SetTarget", domain="web1", vcpus="3," * 12000, target="online"), "InvalidArgument vcpus is longer"),
    ("a vCPU beyond every table", call("SetTarget", domain="web1", vcpus="4096", target="online"), "NoSuchVcpu no such vCPU"),
    ("a vCPU beyond the table, dry", call("SetTarget", domain="web1", vcpus="8", target="online", dry_run=True), "NoSuchVcpu web1 has no vcpu 8"),
    ("a vCPU beyond the table", call("SetTarget", domain="web1", vcpus="8", target="online"), "NoSuchVcpu 8"),
    ("a state that is not there", call("SetTarget", domain="web1", vcpus="3", target="45"), "InvalidArgument there is no state 45"),
    ("a state of -1", call("SetTarget", domain="web1", vcpus="3", target="-1"), "InvalidArgument there is no state -1"),
    ("a state of 2^32 + 6", call("SetTarget", domain="web1", vcpus="3", target="4294967302"), "InvalidArgument there is no state"),
    ("a state that is no target", call("SetTarget", domain="web1", vcpus="3", target="qemu:device"), "Refused is no state to rest in"),
    ("an operation that is not there", call("GetOperation", op="nothing"), "NoSuchOperation nothing"),
    ("a trace of another's operation", call("GetTrace", domain="web1", op="nothing"), "NoSuchOperation nothing"),
    ("an attach by a relative path", call("Attach", name="x", qmp="q", agent="/a"), "InvalidArgument qmp must be an absolute path"),
    ("an attach under a bad name", call("Attach", name="a b", qmp="/q", agent="/a"), "InvalidArgument a name is"),
    ("an attach with a path of 108 bytes", call("Attach", name="x", qmp="/" * 108, agent="/a"), "InvalidArgument qmp is longer"),
    ("an attach of what is there", call("Attach", name="web1", qmp="/q", agent="/a"), "Conflict web1"),
    ("a detach of what is configured", call("Detach", name="web1"), "Refused stands in the configuration"),
    ("a failure at a resting state", call("ArmFailure", domain="web1", vcpu=1, state="standby"), "Refused nothing can fail there"),
    ("a failure on a vCPU that is not there", call("ArmFailure", domain="web1", vcpu=8, state="ap:verify"), "NoSuchVcpu web1 has no vcpu 8"),
    ("a failure on vCPU -1", call("ArmFailure", domain="web1", vcpu=-1, state="ap:verify"), "InvalidArgument vcpu must be"),
    ("the description of nothing", call("org.varlink.service.GetInterfaceDescription", interface="x"), "InterfaceNotFound x"),
]  # fmt: skip


def report(*pairs):
    return b"".join(wire.record(kind, **values) for kind, values in pairs)


def frame(kind, payload, **header):
    """Of the session, unless @header says otherwise."""
    return lambda peer: wire.frame(kind, payload, **dict({"session": peer.mine ^ peer.other}, **header))


def records(*pairs):
    return frame(wire.REPORT, report(*pairs))


def record(kind, **values):
    return records((kind, values))


def changed(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


def broken(at, value, kind=wire.REPORT, payload=report((wire.LOG, {"level": 6, "text": "broken"}))):
    """A sound frame with one byte changed."""
    return lambda peer: changed(frame(kind, payload)(peer), at, value)


def hello(**values):
    """A HELLO of the running session, with these values instead."""

    def make(peer):
        said = {"version_min": 1, "version_max": 1, "features": 7, "session": peer.mine, "peer": peer.other,
                "possible": 8, "version": "0.1.0", "kernel": "6.1.0", **values}  # fmt: skip
        return wire.frame(wire.HELLO, wire.encode(wire.HELLO, **said))

    return make


ROW = {"cpu": 1, "slot": 1, "flags": wire.PRESENT | wire.ONLINE, "state": 44, "ran_on": 1}
STEP = {"kick": 0, "slot": 1, "cpu": 1, "state": 9, "flags": wire.STARTUP, "ran_on": 1}
DONE = {"kick": 77, "slot": 1, "cpu": 1, "state": 44, "failed_at": 255, "rollback_failed_at": 255, "ran_on": 1}


def text_of(raw_text, kind=wire.LOG, lead=b"\6"):
    """A record whose text is these bytes, which the encoder would not write."""
    body = lead + bytes([len(raw_text)]) + raw_text
    return frame(wire.REPORT, bytes([kind]) + len(body).to_bytes(2, "little") + body)


GUEST = [
    # Bytes that are no frame.
    ("4 KiB of nothing", lambda peer: bytes(4096), "skipped"),
    ("8 KiB of one letter", lambda peer: b"V" * 8192, "skipped"),
    ("the magic alone, again and again", lambda peer: b"VHP1" * 500, "skipped"),
    ("a frame with a wrong CRC", broken(24, 0), "skipped"),
    ("a frame with a byte turned", broken(30, 0xA5), "skipped"),
    ("a frame of version 2", frame(wire.REPORT, b"", version=2), "skipped"),
    ("a frame of version 0", frame(wire.REPORT, b"", version=0), "skipped"),
    ("a length beyond 4096", broken(21, 0xFF), "skipped"),
    ("a reserved byte that is set", broken(22, 1), "skipped"),
    ("a frame cut short and another begun", lambda peer: hello()(peer)[:40] + bytes(256), "skipped"),
    # Frames of no use.
    ("a frame of session 0", frame(wire.REPORT, b"", session=0), "dropped"),
    ("a frame of another session", frame(wire.REPORT, report((wire.LOG, {"text": "other"})), session=4711), "dropped"),
    ("a type of 0", frame(0, b""), "dropped"),
    ("an unknown type", frame(99, b"x" * 40), "dropped"),
    ("a type of 255 with the largest payload", frame(255, b"x" * (4096 - 28)), "dropped"),
    ("what only the host may say: KICK", frame(wire.KICK, wire.encode(wire.KICK, kick=1, slot=1)), "dropped"),
    ("what only the host may say: QUERY", frame(wire.QUERY, b""), "dropped"),
    ("what only the host may say: ARM", frame(wire.ARM, wire.encode(wire.ARM, slot=1, state=9)), "dropped"),
    ("a PONG a byte short", frame(wire.PONG, bytes(15)), "dropped"),
    ("a PONG a byte long", frame(wire.PONG, bytes(17)), "dropped"),
    ("a PONG for no ping", frame(wire.PONG, wire.encode(wire.PONG, host_ns=1, guest_ns=2)), "ignored"),
    ("a KICKED for no kick", frame(wire.KICKED, wire.encode(wire.KICKED, kick=77, slot=1)), "ignored"),
    ("a KICKED for slot 9000", frame(wire.KICKED, wire.encode(wire.KICKED, kick=77, slot=9000)), "dropped"),
    ("a KICKED whose text runs over", frame(wire.KICKED, wire.encode(wire.KICKED, kick=77, slot=1)[:-1] + b"\xff"), "dropped"),
    ("an ARMED that nobody asked for", frame(wire.ARMED, wire.encode(wire.ARMED, slot=1, state=9, rc=-1)), "ignored"),
    # HELLOs.
    ("a HELLO of version 2 only", hello(version_min=2, version_max=9), "down"),
    ("a HELLO of version 0 only", hello(version_min=0, version_max=0), "down"),
    ("a HELLO whose versions are crossed", hello(version_min=9, version_max=0), "down"),
    ("a HELLO with an impossible kick number", hello(kick=0xFFFFFFFF), "down"),
    ("a HELLO that has forgotten the host", hello(peer=0), "down"),
    ("a HELLO of another agent", hello(session=4711, peer=0), "down"),
    ("a HELLO of session 0", hello(session=0), "dropped"),
    ("a HELLO inside a session's frame", lambda peer: wire.frame(wire.HELLO, b"", session=peer.mine), "dropped"),
    ("a HELLO a byte short", lambda peer: wire.frame(wire.HELLO, hello()(peer)[28:-1]), "dropped"),
    ("a HELLO that says it again", hello(), "ignored"),
    # Records.
    ("a record a byte short", frame(wire.REPORT, report((wire.CPU, ROW))[:-1]), "dropped"),
    ("a record with a byte too many in it", frame(wire.REPORT, b"\6\3\0\6\0\0"), "dropped"),
    ("a record of 65535 bytes", frame(wire.REPORT, b"\6\xff\xff\6\0"), "dropped"),
    ("half a record's head", frame(wire.REPORT, b"\6\1"), "dropped"),
    ("a good record and a bad one behind it", frame(wire.REPORT, report((wire.CPU, dict(ROW, state=8))) + b"\6\xff\xff"), "dropped"),
    ("a record of an unknown type", frame(wire.REPORT, b"\xc8\2\0xx"), "ignored"),
    ("an empty report", frame(wire.REPORT, b""), "ignored"),
    ("CPU 9000", record(wire.CPU, **dict(ROW, cpu=9000)), "dropped"),
    ("a CPU in slot 9000", record(wire.CPU, **dict(ROW, slot=9000)), "dropped"),
    ("a CPU that ran on 60000", record(wire.CPU, **dict(ROW, ran_on=60000)), "dropped"),
    ("a CPU at state 200", record(wire.CPU, **dict(ROW, state=200)), "dropped"),
    ("a CPU present and at the host's state 2", record(wire.CPU, **dict(ROW, state=2)), "ignored"),
    ("a CPU in a slot beyond the table", record(wire.CPU, **dict(ROW, slot=8)), "ignored"),
    ("a CPU in the last slot there can be", record(wire.CPU, **dict(ROW, slot=4095)), "ignored"),
    ("a CPU in no slot", record(wire.CPU, **dict(ROW, slot=wire.NO_SLOT)), "ignored"),
    ("a CPU in a slot that QEMU has empty", record(wire.CPU, **dict(ROW, cpu=5, slot=5, ran_on=5)), "ignored"),
    ("a table of 300 rows for empty slots", records(*[(wire.CPU, dict(ROW, cpu=i % 5 + 3, slot=i % 5 + 3)) for i in range(300)]), "ignored"),
    ("a callback at a state that is none", record(wire.STATE, state=99, name="99-x"), "dropped"),
    ("a callback at the kernel's state", record(wire.STATE, state=7, name="07-online"), "ignored"),
    ("a callback at online", record(wire.STATE, state=44, name="44-x"), "ignored"),
    ("a step at state 200", record(wire.STEP, **dict(STEP, state=200)), "dropped"),
    ("a step of the host's", record(wire.STEP, **dict(STEP, state=2)), "ignored"),
    ("a step in a slot beyond the table", record(wire.STEP, **dict(STEP, slot=100)), "ignored"),
    ("a step of an unknown kick", record(wire.STEP, **dict(STEP, kick=4000000000)), "ignored"),
    ("a step at the end of time", record(wire.STEP, **dict(STEP, time_ns=2**64 - 1)), "ignored"),
    ("a kernel step of number 65535", record(wire.KSTEP, kick=1, slot=1, cpu=1, step=65535, name="x"), "ignored"),
    ("a kernel step in slot 4000", record(wire.KSTEP, kick=1, slot=4000, cpu=1, step=1), "ignored"),
    ("DONE for an unknown kick", record(wire.DONE, **DONE), "ignored"),
    ("DONE for kick 0", record(wire.DONE, **dict(DONE, kick=0)), "ignored"),
    ("DONE at a state that is none", record(wire.DONE, **dict(DONE, state=99)), "dropped"),
    ("DONE that failed at a state that is none", record(wire.DONE, **dict(DONE, failed_at=100)), "dropped"),
    ("DONE in a slot beyond the table", record(wire.DONE, **dict(DONE, slot=4000)), "ignored"),
    ("800 DONEs in one frame", frame(wire.REPORT, report(*[(wire.DONE, dict(DONE, kick=i)) for i in range(110)])), "ignored"),
    ("a log line of priority 9", record(wire.LOG, level=9, text="x"), "dropped"),
    ("a log line with terminal escapes", text_of(b"\x1b]0;owned\x07\n<0>forged"), "ignored"),
    ("a log line with percent signs", text_of(b"%n%s%n%999999d"), "ignored"),
    ("a log line that is no UTF-8", text_of(b"\xff\xfe\x80" * 80), "ignored"),
    ("a log line whose length lies", frame(wire.REPORT, b"\6\2\0\6\xff"), "dropped"),
    ("the end of a table nobody asked for", lambda peer: records((wire.CPU, dict(ROW, cpu=0, slot=0, ran_on=0)), (wire.CPU, ROW), (wire.END, {}))(peer), "ignored"),
]  # fmt: skip


def kick(rc_words="nothing", **values):
    said = dict({"kick": 900, "slot": 1, "cpu": 1, "target": 44, "slow": 1, "op": "x"}, **values)
    return frame(wire.KICK, wire.encode(wire.KICK, **said)), rc_words


HOST = [
    ("4 KiB of nothing", lambda peer: bytes(4096), "nothing"),
    ("50 KiB of one letter", lambda peer: b"V" * 51200, "nothing"),
    ("a frame with a wrong CRC", broken(24, 0, wire.QUERY, b""), "nothing"),
    ("a frame of version 9", frame(wire.QUERY, b"", version=9), "nothing"),
    ("a length beyond 4096", broken(21, 0xFF, wire.QUERY, b""), "nothing"),
    ("a kick of another session", frame(wire.KICK, wire.encode(wire.KICK, kick=900, slot=1, cpu=1, target=44), session=4711), "nothing"),
    ("a kick a byte short", frame(wire.KICK, wire.encode(wire.KICK, kick=900, slot=1, cpu=1, target=44)[:-1]), "nothing"),
    ("a kick whose operation id runs over", frame(wire.KICK, wire.encode(wire.KICK, kick=900, slot=1, cpu=1, target=44)[:-1] + b"\xff"), "nothing"),
    ("an unknown type", frame(99, b"x" * 40), "nothing"),
    ("what only the agent may say", records((wire.DONE, DONE)), "nothing"),
    ("a PING a byte long", frame(wire.PING, bytes(9)), "nothing"),
    ("a QUERY with a payload", frame(wire.QUERY, b"x"), "nothing"),
    ("a HELLO a byte short", lambda peer: wire.frame(wire.HELLO, bytes(20)), "nothing"),
    ("an ACK for no kick", frame(wire.ACK, wire.encode(wire.ACK, kick=1)), "nothing"),
    ("a CANCEL for no kick", frame(wire.CANCEL, wire.encode(wire.CANCEL, kick=1)), "nothing"),
    ("a kick of a CPU that is not there", *kick("KICKED -19 cpu 9 is not present", cpu=9)),
    ("a kick of CPU 65535", *kick("KICKED -19 cpu 65535 is not present", cpu=65535)),
    ("a kick that names another slot", *kick("KICKED -19 cpu 1 is in slot 1, not 7", slot=7)),
    ("a kick to a state that is none", *kick("KICKED -22 45 is not a target", target=45)),
    ("a kick to 255", *kick("KICKED -22 255 is not a target", target=255)),
    ("a kick to the kernel's state", *kick("KICKED -22 7 is not a target", target=7)),
    ("a kick to a callback that is not there", *kick("KICKED -22 20 is not a target", target=20)),
    ("a kick below standby", *kick("KICKED -22 is not the agent's to reach", target=2)),
    ("a kick of number 0", *kick("KICKED -71 kick 0 is not above", kick=0)),
    ("an arming without leave", frame(wire.ARM, wire.encode(wire.ARM, slot=1, state=9, rc=-11)), "ARMED -1"),
    ("an arming with an error above 0", frame(wire.ARM, wire.encode(wire.ARM, slot=99, state=200, rc=5)), "ARMED -1"),
]  # fmt: skip

OK_GREETING = '{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7},"package":""},"capabilities":[]}}'


def reply(value):
    """The answer to a command; the id is put in by who sends it."""
    return '{"return":%s,"id":ID}' % value


def slot(core, more="", kind="qemu64-x86_64-cpu", count=1):
    return '{"type":"%s","vcpus-count":%d,"props":{"core-id":%s}%s}' % (kind, count, core, more)


SLOTS = "query-hotpluggable-cpus"
QMP = [
    ("no JSON for a greeting", "greeting", "hello", "not an object"),
    ("a greeting without a version", "greeting", '{"QMP":{}}', "not a QMP message"),
    ("a greeting with a version of floats", "greeting", OK_GREETING.replace("22", "22.5"), "not a QMP message"),
    ("a return for a greeting", "greeting", '{"return":{}}', "a reply to no command"),
    ("two greetings", "greeting", OK_GREETING + "\n" + OK_GREETING, "a second greeting"),
    ("an empty line", "greeting", "", "not an object"),
    ("an array of arrays", "greeting", "[" * 100000, "not an object"),
    ("QEMU refuses qmp_capabilities", "qmp_capabilities", '{"error":{"class":"GenericError","desc":"no"},"id":ID}', "refuses qmp_capabilities"),
    ("a reply with another id", "qmp_capabilities", '{"return":{},"id":7777}', "a reply to no command"),
    ("a reply without an id", "qmp_capabilities", '{"return":{}}', "a reply to no command"),
    ("a reply with an id that is a string", "qmp_capabilities", '{"return":{},"id":"1"}', "not a QMP message"),
    ("return and error at once", "qmp_capabilities", '{"return":{},"error":{"class":"x","desc":"y"},"id":ID}', "not a QMP message"),
    ("an error without a class", "qmp_capabilities", '{"error":{"desc":"y"},"id":ID}', "not a QMP message"),
    ("an error that is a string", "qmp_capabilities", '{"error":"y","id":ID}', "not a QMP message"),
    ("a key twice", "query-kvm", '{"return":{"enabled":true,"enabled":false},"id":ID}', "duplicate key"),
    ("20 levels of arrays", "query-kvm", reply("[" * 20 + "]" * 20), "too deep"),
    ("40000 elements", "query-kvm", reply("[" + ",".join(["1"] * 40000) + "]"), "too many elements"),
    ("a line above 1 MiB", "query-kvm", '{"return":"' + "x" * (1 << 21), "a QMP line above 1 MiB"),
    ("NaN", "query-kvm", reply('{"enabled":NaN}'), "not a value"),
    ("a number beyond 64 bits", "query-kvm", reply("18446744073709551616"), "number out of range"),
    ("bytes that are no UTF-8", "query-kvm", b'{"return":{"enabled":"\xff"},"id":ID}', "not UTF-8"),
    ("a NUL in the line", "query-kvm", b'{"return":\0{},"id":ID}', "not a value"),
    ("query-kvm without enabled", "query-kvm", reply("{}"), "a broken reply to query-kvm"),
    ("query-kvm with a word", "query-kvm", reply('{"enabled":"yes"}'), "a broken reply to query-kvm"),
    ("a UUID that is a number", "query-uuid", reply('{"UUID":5}'), "a broken reply to query-uuid"),
    ("a status that is missing", "query-status", reply("{}"), "a broken reply to query-status"),
    ("a migration that is a number", "query-migrate", reply('{"status":1}'), "a broken reply to query-migrate"),
    ("slots that are no list", SLOTS, reply("{}"), "no list of slots"),
    ("no slots", SLOTS, reply("[]"), "an empty list of slots"),
    ("a slot that is a number", SLOTS, reply("[5]"), "a slot without a sound type"),
    ("a slot without a type", SLOTS, reply('[{"vcpus-count":1,"props":{"core-id":0}}]'), "a slot without a sound type"),
    ("a slot whose type is an attack", SLOTS, reply("[%s]" % slot(0, kind="x;rm -rf")), "a slot without a sound type"),
    ("a slot without vcpus-count", SLOTS, reply('[{"type":"a-x86_64-cpu","props":{"core-id":0}}]'), "a slot without vcpus-count"),
    ("a slot of 0 vCPUs", SLOTS, reply("[%s]" % slot(0, count=0)), "a slot without vcpus-count"),
    ("a slot without props", SLOTS, reply('[{"type":"a-x86_64-cpu","vcpus-count":1}]'), "a slot without props"),
    ("a core-id that is a string", SLOTS, reply("[%s]" % slot('"0"')), "props of a slot are no numbers"),
    ("a core-id of -1", SLOTS, reply("[%s]" % slot(-1)), "props of a slot are no numbers"),
    ("a core-id of 2^31", SLOTS, reply("[%s]" % slot(2**31)), "props of a slot are no numbers"),
    ("a core-id of 1.0", SLOTS, reply("[%s]" % slot("1.0")), "props of a slot are no numbers"),
    ("two slots with the same props", SLOTS, reply("[%s,%s]" % (slot(1), slot(1))), "two slots with the same props"),
    ("a qom-path that is a number", SLOTS, reply("[%s]" % slot(0, ',"qom-path":5')), "a broken qom-path"),
    ("a qom-path of 5000 bytes", SLOTS, reply("[%s]" % slot(0, ',"qom-path":"/%s"' % ("x" * 5000))), "a broken qom-path"),
    ("threads that are no list", "query-cpus-fast", reply("{}"), "a broken reply to query-cpus-fast"),
    ("a thread that is a string", "query-cpus-fast", reply('[{"qom-path":"/x","thread-id":"1"}]'), "a broken reply to query-cpus-fast"),
    ("a thread of 2^31", "query-cpus-fast", reply('[{"qom-path":"/x","thread-id":2147483648}]'), "a broken reply to query-cpus-fast"),
    ("_OST that is no list", "query-acpi-ospm-status", reply("{}"), "a broken reply to query-acpi-ospm-status"),
    ("_OST of slot -1", "query-acpi-ospm-status", reply('[{"slot-type":"CPU","slot":"-1","source":1,"status":0}]'), "a broken reply to query-acpi"),
    ("_OST of slot 99", "query-acpi-ospm-status", reply('[{"slot-type":"CPU","slot":"99","source":1,"status":0}]'), "a broken reply to query-acpi"),
    ("an event that nobody knows", "event", '{"event":"FROB","data":{"x":[1,2]},"timestamp":{}}', ""),
    ("an event whose data is a number", "event", '{"event":"STOP","data":5}', "not a QMP message"),
    ("an _OST event of slot 99", "event", '{"event":"ACPI_DEVICE_OST","data":{"info":{"slot-type":"CPU","slot":"99","source":3,"status":0}}}', ""),
    ("an _OST event of slot 1e9", "event", '{"event":"ACPI_DEVICE_OST","data":{"info":{"slot-type":"CPU","slot":1e9,"source":3,"status":0}}}', ""),
    ("an _OST event of status 2^40", "event", '{"event":"ACPI_DEVICE_OST","data":{"info":{"slot-type":"CPU","slot":"1","source":3,"status":1099511627776}}}', ""),
    ("DEVICE_DELETED of a path that is a number", "event", '{"event":"DEVICE_DELETED","data":{"path":5}}', ""),
    ("a refusal of a device nobody has", "event", '{"event":"DEVICE_UNPLUG_GUEST_ERROR","data":{"device":"../x","path":"/x"}}', ""),
    ("a reply that nobody waits for", "event", '{"return":{},"id":424242}', "a reply to no command"),
    ("other slots than before", "event", "SLOTS", "QEMU tells other slots than before"),
]  # fmt: skip
