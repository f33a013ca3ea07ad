/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The one table of commands: parsing (command.c), help (help.c), completion (complete.c) and the manual's
 * check all read it.
 * A row says which words a command takes and in which order, which options it knows, which of them
 * must or must not stand together, and who runs it. There is no other list of commands.
 */
#include "daemon/ctl/command.h"
#include "daemon/ctl/handlers.h"
#include <string.h>

#define CHANGE_OPTIONS (OPT(TIMEOUT) | OPT(NO_WAIT) | OPT(DRY_RUN) | OPT(FOREIGN) | OPT(OP_ID))

#define AFFECT_OPTIONS (OPT(LIVE) | OPT(CONFIG) | OPT(CURRENT))
/* As virsh has it; and a configuration knows no standby. */
#define AFFECT_CLASHES(standby)                                                           \
	{                                                                                 \
		{ OPT(CURRENT), OPT(LIVE) | OPT(CONFIG) }, { OPT(CONFIG), OPT(standby) }, \
	}

static const char about_policy[] =
	"POLICY is 'all' (the default: the first failure rolls everything back), 'at-least=K' (it is\n"
	"enough that K of this operation's vCPUs get there) or 'best-effort' (each failed vCPU is\n"
	"undone alone).\n"
	"\n"
	"--live, --config and --current mean what they mean to virsh. Only libvirt's domains have a\n"
	"persistent configuration; with --live it is changed last, once the running domain has what was\n"
	"asked.\n"
	"\n"
	"Progress goes to stderr: one line per vCPU on a terminal, else one line per step. Ctrl-C ends\n"
	"the waiting, not the operation; its id is printed.";

static const struct verb table[] = {
	{
		.name = "list",
		.args = "",
		.help = "List the domains with their counts of vCPUs.",
		.run = run_list,
	},
	{
		.name = "host",
		.args = "",
		.help = "Show what this host and the daemon can do.",
		.run = run_host,
	},
	{
		.name = "states",
		.args = "[DOMAIN]",
		.help = "List the states of the ladder; with a domain its callbacks too.",
		.words = { WORD_DOMAIN },
		.run = run_states,
	},
	{
		.name = "info",
		.args = "DOMAIN",
		.help = "Show everything known of a domain and its vCPUs.",
		.about = "The guest is not asked: what is shown is the last that it and QEMU said.",
		.words = { WORD_DOMAIN },
		.min_words = 1,
		.run = run_info,
	},
	{
		.name = "vcpucount",
		.args = "DOMAIN",
		.help = "Print how many vCPUs a domain has.",
		.about =
			"Without an option four lines are printed, with one of them only the number.",
		.words = { WORD_DOMAIN },
		.min_words = 1,
		.options = OPT(MAXIMUM) | OPT(PRESENT) | OPT(ONLINE) | OPT(AT_STANDBY),
		.one_of = OPT(MAXIMUM) | OPT(PRESENT) | OPT(ONLINE) | OPT(AT_STANDBY),
		.run = run_vcpucount,
	},
	{
		.name = "setvcpus",
		.args = "DOMAIN COUNT",
		.help = "Bring COUNT vCPUs of a domain online, and no more.",
		.about = about_policy,
		.words = { WORD_DOMAIN, WORD_COUNT },
		.min_words = 2,
		.options = CHANGE_OPTIONS | OPT(STANDBY) | OPT(POLICY) | AFFECT_OPTIONS,
		.clashes = AFFECT_CLASHES(STANDBY),
		.run = run_setvcpus,
	},
	{
		.name = "setvcpu",
		.args = "DOMAIN LIST",
		.help = "Enable, disable or park the listed vCPUs of a domain.",
		.about = about_policy,
		.words = { WORD_DOMAIN, WORD_LIST },
		.min_words = 2,
		.options = CHANGE_OPTIONS | OPT(POLICY) | OPT(ENABLE) | OPT(DISABLE) |
			   OPT(TO_STANDBY) | AFFECT_OPTIONS,
		.clashes = AFFECT_CLASHES(TO_STANDBY),
		.one_of = OPT(ENABLE) | OPT(DISABLE) | OPT(TO_STANDBY),
		.one_needed = true,
		.run = run_setvcpu,
	},
	{
		.name = "target",
		.args = "DOMAIN VCPU STATE",
		.help = "Walk one vCPU to a state of the ladder.",
		.about =
			"STATE is a number or a name; 'vcpuhpctl states' tells which may be a target.",
		.words = { WORD_DOMAIN, WORD_VCPU, WORD_TARGET },
		.min_words = 3,
		.options = CHANGE_OPTIONS,
		.run = run_target,
	},
	{
		.name = "domain-xml",
		.args = "DOMAIN",
		.help = "Print a libvirt domain's configuration with what it lacks for all this.",
		.about =
			"That is the channel org.vcpuhp.agent.0, ACPI, room for more vCPUs (--maxvcpus), and\n"
			"boot vCPUs that can be unplugged. What is missing is told on stderr. --apply changes\n"
			"the persistent configuration instead; a running domain has it from its next start.",
		.words = { WORD_DOMAIN },
		.min_words = 1,
		.options = OPT(MAXVCPUS) | OPT(APPLY),
		.run = run_domain_xml,
	},
	{
		.name = "doctor",
		.args = "[DOMAIN]",
		.help = "Say what is missing for setvcpus to work, and what to do about it.",
		.about =
			"Without a domain that is the daemon's own part, with each domain in a line. Nothing is\n"
			"changed, and neither QEMU nor the guest is asked: what is told is the last they said.\n"
			"The exit code is 4 where something is in the way (error), else 0.",
		.words = { WORD_DOMAIN },
		.run = run_doctor,
	},
	{
		.name = "ops",
		.args = "[DOMAIN]",
		.help = "List running, queued and ended operations.",
		.words = { WORD_DOMAIN },
		.run = run_ops,
	},
	{
		.name = "op",
		.args = "ID",
		.help = "Show an operation as it stands or as it ended.",
		.about = "The exit code is 0 however the operation ended; 'wait' exits as it did.",
		.words = { WORD_OP },
		.min_words = 1,
		.run = run_op,
	},
	{
		.name = "wait",
		.args = "ID",
		.help = "Wait for an operation and exit as it ended.",
		.about =
			"When SEC have passed first, the exit code is 5 and the operation goes on.",
		.words = { WORD_OP },
		.min_words = 1,
		.options = OPT(WAIT_TIMEOUT),
		.run = run_wait,
	},
	{
		.name = "cancel",
		.args = "ID",
		.help = "Ask an operation to stop and undo what it did.",
		.about =
			"The exit code is 0 when it was cancelled or is being cancelled, 4 when it had\n"
			"ended as asked before, and else as the operation ended.",
		.words = { WORD_OP_UNDER_WAY },
		.min_words = 1,
		.run = run_cancel,
	},
	{
		.name = "events",
		.args = "[DOMAIN]",
		.help = "Print what happens, as it happens.",
		.words = { WORD_DOMAIN },
		.about =
			"With --load the guests' load is among it, told each SEC seconds of --interval: the\n"
			"agents are asked for it as long as somebody wants it.",
		.options = OPT(WAIT_TIMEOUT) | OPT(COUNT) | OPT(LOAD) | OPT(INTERVAL),
		.needs = { OPT(INTERVAL), OPT(LOAD) },
		.run = run_events,
	},
	{
		.name = "top",
		.args = "[DOMAIN]",
		.help = "Show the domains, their vCPUs and their guests' load, again and again.",
		.words = { WORD_DOMAIN },
		.about =
			"On a terminal the lines are redrawn in place, at once where something happens; with a\n"
			"domain there is a line for each vCPU too. Else a line a domain each interval, the first\n"
			"after one; -q leaves the header out. Percentages are of the time between the guest's\n"
			"last two reports (BUSY, STEAL: the mean of the CPUs), which is the interval, or less\n"
			"where another client wants it more often, and of the last 10 and 60 s (PSI, the CPU\n"
			"pressure); '-' is unknown.",
		.options = OPT(INTERVAL) | OPT(REFRESHES),
		.run = run_top,
	},
	{
		.name = "trace",
		.args = "DOMAIN",
		.help = "Write the remembered steps of a domain as a Chrome trace.",
		.about =
			"The file is JSON for chrome://tracing or Perfetto: host, guest agent and guest\n"
			"kernel are processes, each vCPU is a thread, and all share one time axis. With\n"
			"--svg it is a picture of the same for a report: a panel for each operation.",
		.words = { WORD_DOMAIN },
		.min_words = 1,
		.options = OPT(OP) | OPT(FILE) | OPT(SVG),
		.needed = OPT(FILE),
		.run = run_trace,
	},
	{
		.name = "fail",
		.args = "DOMAIN VCPU STATE",
		.help = "Arm a failure of one step, once, for a test.",
		.about = "The daemon must have been configured with AllowFaultInjection=yes.",
		.words = { WORD_DOMAIN, WORD_VCPU, WORD_STATE },
		.min_words = 3,
		.run = run_fail,
	},
	{
		.name = "attach",
		.args = "NAME",
		.help = "Make the daemon manage a QEMU that its configuration does not name.",
		.words = { WORD_NAME },
		.min_words = 1,
		.options = OPT(QMP) | OPT(AGENT),
		.needed = OPT(QMP) | OPT(AGENT),
		.run = run_attach,
	},
	{
		.name = "detach",
		.args = "NAME",
		.help = "Make the daemon forget an attached domain and leave the VM as it is.",
		.about =
			"Refused as busy while an operation is under way there: wait for it or cancel it first.",
		.words = { WORD_DOMAIN },
		.min_words = 1,
		.run = run_detach,
	},
	{
		.name = "metrics",
		.args = "",
		.help = "Print the daemon's metrics as OpenMetrics text.",
		.about =
			"Prometheus' own text format, which promtool check metrics and node_exporter's "
			"text files\ntake, with --format prometheus.",
		.options = OPT(FORMAT),
		.run = run_metrics,
	},
	{
		.name = "help",
		.args = "[COMMAND]",
		.help = "Print the help of the program or of a command.",
		.words = { WORD_VERB },
	},
};

const struct verb *verb_at(unsigned int i)
{
	return i < sizeof(table) / sizeof(table[0]) ? &table[i] : NULL;
}

const struct verb *verb_find(const char *name)
{
	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
