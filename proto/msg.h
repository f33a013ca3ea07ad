/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Messages inside frames. Every message and record has a fixed layout given by one table of
 * fields in msg.c; strings have a length byte and a maximum. Decoding checks every byte, never
 * allocates, and leaves the result untouched on error. PROTOCOL.md is the manual.
 *
 * Session handshake, symmetric. Each side has a random non-zero session number and remembers the
 * peer's. On HELLO(session s, peer p):
 *   changed = (s != remembered); remember s; if changed, everything outstanding is void;
 *   established = (p == mine);
 *   if (changed || p != mine) send HELLO(mine, s).
 * Other frames carry the session (mine ^ peer's) and are dropped when it does not match or the
 * session is not established. HELLO frames carry session 0.
 */
enum msg_type {
	MSG_HELLO = 1,
	MSG_PING = 2,     /* host -> agent */
	MSG_PONG = 3,     /* agent -> host */
	MSG_QUERY = 4,    /* host -> agent, empty: report the whole CPU and callback tables */
	MSG_KICK = 5,     /* host -> agent: take this CPU to target */
	MSG_KICKED = 6,   /* agent -> host: hand-over taken (rc 0) or refused (rc < 0) */
	MSG_CANCEL = 7,   /* host -> agent: fail kick @kick with -ECANCELED, now or after a write */
	MSG_ACK = 8,      /* host -> agent: the result of @kick was received; forget it */
	MSG_ARM = 9,      /* host -> agent: arm a one-shot failure (R18) */
	MSG_ARMED = 10,   /* agent -> host */
	MSG_REPORT = 11,  /* agent -> host: a sequence of records */
	MSG_PREPARE = 12, /* host -> agent: kicks are about to come */
	MSG_LOAD = 13     /* host -> agent: tell the guest's load, or no longer */
};

enum {
	MSG_OP_MAX = 64,    /* bytes of an operation id, without NUL */
	MSG_NAME_MAX = 63,  /* state, step and callback names */
	MSG_TEXT_MAX = 255, /* sentences */
	MSG_NO_SLOT = 0xffff,
	MSG_NO_CPU = 0xffff,
};

/* HELLO features */
enum {
	MSG_FEATURE_HOTPLUG =
		1 << 0, /* agent: its kernel can hotplug CPUs (ACPI on, CONFIG_HOTPLUG_CPU) */
	MSG_FEATURE_KTRACE = 1 << 1,       /* agent: the kernel's own ladder is visible */
	MSG_FEATURE_FAULTS = 1 << 2,       /* agent: --allow-fault-injection */
	MSG_FEATURE_OTHERS = 1 << 3,       /* agent: it tells the next two, as it found them */
	MSG_FEATURE_UDEV_ONLINES = 1 << 4, /* agent: there is a udev rule that brings CPUs online */
	MSG_FEATURE_IRQBALANCE = 1 << 5,   /* agent: irqbalance runs */
	MSG_FEATURE_LOAD = 1 << 6,         /* agent: it tells the guest's load when asked to */
};

struct msg_hello {
	uint8_t version_min, version_max;
	uint32_t features;
	uint64_t session;    /* the sender's, never 0 */
	uint64_t peer;       /* the receiver's as the sender knows it, 0 unknown */
	uint32_t kick;       /* agent: the highest kick number it has seen; host: 0 */
	uint64_t time_ns;    /* sender's CLOCK_MONOTONIC */
	uint16_t possible;   /* agent: CPUs its kernel has room for (nr possible); host: 0 */
	uint8_t boot_id[16]; /* agent: /proc/sys/kernel/random/boot_id */
	char version[32];    /* program version */
	char kernel[MSG_NAME_MAX + 1]; /* agent: uname release */
};

struct msg_ping {
	uint64_t host_ns;
};

struct msg_pong {
	uint64_t host_ns;  /* copied from the ping */
	uint64_t guest_ns; /* CLOCK_MONOTONIC of the agent */
};

enum {
	MSG_KICK_ROLLBACK =
		1
		<< 0, /* the host is rolling an operation back: states marked skip_rollback are passed */
	MSG_KICK_LADDER_LATER = 1 << 1, /* nobody watches: KSTEPs may come after DONE */
	MSG_KICK_TAKEN_LATER = 1 << 2,  /* nobody waits for KICKED: it may come with what follows */
};

struct msg_kick {
	uint32_t kick; /* unique, ascending */
	uint16_t slot;
	uint16_t cpu;   /* the guest's number of that slot, as the agent reported it */
	uint8_t target; /* CPUHP_STANDBY..CPUHP_ONLINE */
	uint8_t flags;
	uint8_t slow;         /* factor for the agent's deadlines, 1 on KVM, 6 under TCG */
	uint32_t deadline_ms; /* whole walk, 0 = the agent's own */
	char op[MSG_OP_MAX + 1];
};

struct msg_kicked {
	uint32_t kick;
	uint16_t slot;
	int32_t rc; /* -EPROTO does not fit the CPU's state (R16), -EBUSY, -ENODEV, -EINVAL not a target */
	char text[MSG_TEXT_MAX + 1];
};

struct msg_cancel {
	uint32_t kick;
};

struct msg_ack {
	uint32_t kick;
};

struct msg_arm {
	uint16_t slot;
	uint8_t state;
	int32_t rc; /* 0 disarms, else the error to fail with (-EAGAIN) */
};

struct msg_armed {
	uint16_t slot;
	uint8_t state;
	int32_t rc; /* -EINVAL no callback there, -EPERM not allowed */
};

struct msg_prepare {
	uint16_t kicks;     /* how many; 0 none after all */
	uint32_t within_ms; /* to the first, and from each to the next */
};

struct msg_load {
	uint32_t interval_ms; /* from one report to the next; 0 none any more */
};

enum msg_record_type {
	RECORD_CPU = 1,   /* one row of the CPU table; a change, or an answer to QUERY */
	RECORD_STATE = 2, /* a callback stands at a dynamic state, or (empty name) no longer does */
	RECORD_STEP = 3,  /* a step was entered or left */
	RECORD_KSTEP = 4, /* the kernel's own ladder, beneath ap:online */
	RECORD_DONE = 5,  /* the one result of a kick */
	RECORD_LOG = 6,
	RECORD_END = 7,      /* end of the answer to QUERY: rows of CPUs not named are gone */
	RECORD_LOAD_CPU = 8, /* what one CPU did, of the report that the next RECORD_LOAD ends */
	RECORD_LOAD = 9,     /* the guest as a whole, and the end of a report of its load */
};

enum {
	RECORD_CPU_PRESENT = 1 << 0,
	RECORD_CPU_ONLINE = 1 << 1,
	RECORD_CPU_WALKING = 1 << 2, /* the agent is at work on it, or about to be */
	RECORD_CPU_TAKEN = 1 << 3,   /* went offline or away without asking */
	RECORD_CPU_FOREIGN = 1 << 4, /* brought online by another than the agent */
	RECORD_CPU_PARKED = 1 << 5,  /* rests at standby because it was asked to */
};

struct record_cpu {
	uint16_t cpu;
	uint16_t slot; /* MSG_NO_SLOT when the firmware path could not be read */
	uint8_t flags;
	uint8_t state;   /* CPUHP_STANDBY..CPUHP_ONLINE; CPUHP_OFFLINE when not present */
	uint16_t ran_on; /* CPU the worker last proved itself on, MSG_NO_CPU none */
	char text[MSG_TEXT_MAX +
		  1]; /* why it rests below online although the kernel has it, or "" */
};

struct record_state {
	uint8_t state;
	char name[MSG_NAME_MAX + 1]; /* "NN-name" */
};

enum {
	RECORD_STEP_EXIT = 1 << 0,    /* left, else entered */
	RECORD_STEP_STARTUP = 1 << 1, /* startup, else teardown */
	RECORD_STEP_ROLLBACK = 1 << 2,
	RECORD_STEP_LATE = 1 << 3, /* unbound, for a CPU that was taken away */
};

struct record_step {
	uint32_t kick; /* 0: none asked (adoption, registration, late teardown) */
	uint16_t slot;
	uint16_t cpu;
	uint8_t state;
	uint8_t flags;
	int32_t rc;       /* on exit: 0, -errno, a callback's exit status, 128 + signal */
	uint16_t ran_on;  /* MSG_NO_CPU where it does not apply */
	uint64_t time_ns; /* guest CLOCK_MONOTONIC */
	char text[MSG_TEXT_MAX + 1]; /* on failure: the reason; a callback's last line of output */
};

struct record_kstep {
	uint32_t kick;
	uint16_t slot;
	uint16_t cpu;
	uint16_t step; /* the kernel's state number */
	uint8_t flags; /* RECORD_STEP_EXIT, RECORD_STEP_STARTUP */
	int32_t rc;
	uint64_t time_ns;
	char name[MSG_NAME_MAX + 1]; /* the kernel's name of it, or "" */
};

struct record_done {
	uint32_t kick;
	uint16_t slot;
	uint16_t cpu;
	uint8_t state;     /* where the CPU rests now */
	int32_t rc;        /* 0 or the error of the step that failed */
	uint8_t failed_at; /* 0xff none */
	int32_t rollback_rc;
	uint8_t rollback_failed_at; /* 0xff none */
	uint16_t ran_on;
	char text[MSG_TEXT_MAX + 1];
};

struct record_log {
	uint8_t level; /* syslog(3) priority */
	char text[MSG_TEXT_MAX + 1];
};

enum {
	LOAD_NO_SHARE = 0xffff,
	LOAD_SHARE_MAX = 1000,     /* per mille */
	LOAD_PRESSURE_MAX = 10000, /* hundredths of a per cent */
	LOAD_NO_NUMBER = 0xffffffff,
};

#define LOAD_NO_TIME UINT64_MAX

struct record_load_cpu {
	uint16_t cpu;
	uint16_t busy;  /* per mille of the span, LOAD_NO_SHARE unknown */
	uint16_t steal; /* the same: it wanted to run, and the host ran another */
};

/* What the kernel does not tell is unknown, never 0. */
struct record_load {
	uint32_t span_ms;      /* which the rows of the CPUs are about, 0 none yet */
	uint16_t avg10, avg60; /* PSI cpu "some": hundredths of a per cent, LOAD_NO_SHARE unknown */
	uint64_t total_us;     /* of it, since the guest booted; LOAD_NO_TIME unknown */
	uint32_t load1, load5, load15; /* load averages in hundredths, LOAD_NO_NUMBER unknown */
	uint32_t
		runnable; /* tasks that run or want to, without the agent; LOAD_NO_NUMBER unknown */
};

/* One decoded record of a REPORT. */
struct record {
	uint8_t type;
	union {
		struct record_cpu cpu;
		struct record_state state;
		struct record_step step;
		struct record_kstep kstep;
		struct record_done done;
		struct record_log log;
		struct record_load_cpu load_cpu;
		struct record_load load;
	};
};

/**
 * msg_encode() - write the payload of a message other than REPORT
 * @type: enum msg_type
 * @msg: the struct of that type; NULL for MSG_QUERY
 *
 * Return: payload length in bytes, -EINVAL for an unknown type, -EMSGSIZE when @size is too small.
 */
int msg_encode(int type, const void *msg, uint8_t *out, size_t size);

/**
 * msg_decode() - read the payload of a message other than REPORT
 * @msg: the struct of that type; untouched on error
 *
 * Strings come out NUL-terminated with no NUL inside and only printable ASCII or spaces (other
 * bytes are replaced by '?').
 *
 * Return: 0, -EINVAL for an unknown type, -EBADMSG for a payload that is not exactly one.
 */
int msg_decode(int type, const uint8_t *payload, size_t len, void *msg);

/* Append a record (u8 type, u16 length, fields) to a REPORT payload at *pos. -EMSGSIZE: send first. */
int record_encode(const struct record *r, uint8_t *out, size_t size, size_t *pos);

/* Whether all records of a REPORT are good, so that none has to count if one is not. 0 or -EBADMSG. */
int record_check(const uint8_t *payload, size_t len);

/**
 * record_decode() - read the record at *pos and move on
 *
 * Records of unknown type are skipped (a newer peer).
 *
 * Return: 1 with @r filled, 0 at the end, -EBADMSG with @r and *pos as they were.
 */
int record_decode(const uint8_t *payload, size_t len, size_t *pos, struct record *r);

#endif
