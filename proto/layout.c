/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/layout.h"

#include "proto/msg.h"

#define FIELD(type, member, kind, range)                      \
	{                                                     \
		offsetof(struct type, member), 0, kind, range \
	}
#define TEXT(type, member)                                                                         \
	{                                                                                          \
		offsetof(struct type, member), sizeof(((struct type *)0)->member) - 1, STRING, ANY \
	}
#define LAYOUT(type)                                                                \
	{                                                                           \
		type##_fields, sizeof(type##_fields) / sizeof(struct layout_field), \
			sizeof(struct type)                                         \
	}

static const struct layout_field no_fields[] = { { 0 } };

#define EMPTY                   \
	{                       \
		no_fields, 0, 0 \
	}

static const struct layout_field msg_hello_fields[] = {
	FIELD(msg_hello, version_min, U8, ANY),
	FIELD(msg_hello, version_max, U8, ANY),
	FIELD(msg_hello, features, U32, ANY),
	FIELD(msg_hello, session, U64, NOT_ZERO),
	FIELD(msg_hello, peer, U64, ANY),
	FIELD(msg_hello, kick, U32, ANY),
	FIELD(msg_hello, time_ns, U64, ANY),
	FIELD(msg_hello, possible, U16, ANY),
	FIELD(msg_hello, boot_id, ID16, ANY),
	TEXT(msg_hello, version),
	TEXT(msg_hello, kernel),
};

static const struct layout_field msg_ping_fields[] = {
	FIELD(msg_ping, host_ns, U64, ANY),
};

static const struct layout_field msg_pong_fields[] = {
	FIELD(msg_pong, host_ns, U64, ANY),
	FIELD(msg_pong, guest_ns, U64, ANY),
};

static const struct layout_field msg_kick_fields[] = {
	FIELD(msg_kick, kick, U32, ANY),        FIELD(msg_kick, slot, U16, ANY),
	FIELD(msg_kick, cpu, U16, ANY),         FIELD(msg_kick, target, U8, ANY),
	FIELD(msg_kick, flags, U8, ANY),        FIELD(msg_kick, slow, U8, ANY),
	FIELD(msg_kick, deadline_ms, U32, ANY), TEXT(msg_kick, op),
};

static const struct layout_field msg_kicked_fields[] = {
	FIELD(msg_kicked, kick, U32, ANY),
	FIELD(msg_kicked, slot, U16, CPU_OR_NONE),
	FIELD(msg_kicked, rc, U32, ANY),
	TEXT(msg_kicked, text),
};

static const struct layout_field msg_cancel_fields[] = {
	FIELD(msg_cancel, kick, U32, ANY),
};

static const struct layout_field msg_ack_fields[] = {
	FIELD(msg_ack, kick, U32, ANY),
};

static const struct layout_field msg_arm_fields[] = {
	FIELD(msg_arm, slot, U16, ANY),
	FIELD(msg_arm, state, U8, ANY),
	FIELD(msg_arm, rc, U32, ANY),
};

static const struct layout_field msg_armed_fields[] = {
	FIELD(msg_armed, slot, U16, ANY),
	FIELD(msg_armed, state, U8, ANY),
	FIELD(msg_armed, rc, U32, ANY),
};

static const struct layout_field msg_prepare_fields[] = {
	FIELD(msg_prepare, kicks, U16, ANY),
	FIELD(msg_prepare, within_ms, U32, ANY),
};

static const struct layout_field msg_load_fields[] = {
	FIELD(msg_load, interval_ms, U32, ANY),
};

static const struct layout_field record_cpu_fields[] = {
	FIELD(record_cpu, cpu, U16, CPU_OR_NONE),    FIELD(record_cpu, slot, U16, CPU_OR_NONE),
	FIELD(record_cpu, flags, U8, ANY),           FIELD(record_cpu, state, U8, STATE),
	FIELD(record_cpu, ran_on, U16, CPU_OR_NONE), TEXT(record_cpu, text),
};

static const struct layout_field record_state_fields[] = {
	FIELD(record_state, state, U8, STATE),
	TEXT(record_state, name),
};

static const struct layout_field record_step_fields[] = {
	FIELD(record_step, kick, U32, ANY),
	FIELD(record_step, slot, U16, CPU_OR_NONE),
	FIELD(record_step, cpu, U16, CPU_OR_NONE),
	FIELD(record_step, state, U8, STATE),
	FIELD(record_step, flags, U8, ANY),
	FIELD(record_step, rc, U32, ANY),
	FIELD(record_step, ran_on, U16, CPU_OR_NONE),
	FIELD(record_step, time_ns, U64, ANY),
	TEXT(record_step, text),
};

static const struct layout_field record_kstep_fields[] = {
	FIELD(record_kstep, kick, U32, ANY),        FIELD(record_kstep, slot, U16, CPU_OR_NONE),
	FIELD(record_kstep, cpu, U16, CPU_OR_NONE), FIELD(record_kstep, step, U16, ANY),
	FIELD(record_kstep, flags, U8, ANY),        FIELD(record_kstep, rc, U32, ANY),
	FIELD(record_kstep, time_ns, U64, ANY),     TEXT(record_kstep, name),
};

static const struct layout_field record_done_fields[] = {
	FIELD(record_done, kick, U32, ANY),
	FIELD(record_done, slot, U16, CPU_OR_NONE),
	FIELD(record_done, cpu, U16, CPU_OR_NONE),
	FIELD(record_done, state, U8, STATE),
	FIELD(record_done, rc, U32, ANY),
	FIELD(record_done, failed_at, U8, STATE_OR_NONE),
	FIELD(record_done, rollback_rc, U32, ANY),
	FIELD(record_done, rollback_failed_at, U8, STATE_OR_NONE),
	FIELD(record_done, ran_on, U16, CPU_OR_NONE),
	TEXT(record_done, text),
};

static const struct layout_field record_log_fields[] = {
	FIELD(record_log, level, U8, PRIORITY),
	TEXT(record_log, text),
};

static const struct layout_field record_load_cpu_fields[] = {
	FIELD(record_load_cpu, cpu, U16, CPU_OR_NONE),
	FIELD(record_load_cpu, busy, U16, SHARE),
	FIELD(record_load_cpu, steal, U16, SHARE),
};

static const struct layout_field record_load_fields[] = {
	FIELD(record_load, span_ms, U32, ANY),    FIELD(record_load, avg10, U16, PRESSURE),
	FIELD(record_load, avg60, U16, PRESSURE), FIELD(record_load, total_us, U64, TIME),
	FIELD(record_load, load1, U32, ANY),      FIELD(record_load, load5, U32, ANY),
	FIELD(record_load, load15, U32, ANY),     FIELD(record_load, runnable, U32, ANY),
};

static const struct layout messages[] = {
	[MSG_HELLO] = LAYOUT(msg_hello),     [MSG_PING] = LAYOUT(msg_ping),
	[MSG_PONG] = LAYOUT(msg_pong),       [MSG_QUERY] = EMPTY,
	[MSG_KICK] = LAYOUT(msg_kick),       [MSG_KICKED] = LAYOUT(msg_kicked),
	[MSG_CANCEL] = LAYOUT(msg_cancel),   [MSG_ACK] = LAYOUT(msg_ack),
	[MSG_ARM] = LAYOUT(msg_arm),         [MSG_ARMED] = LAYOUT(msg_armed),
	[MSG_PREPARE] = LAYOUT(msg_prepare), [MSG_LOAD] = LAYOUT(msg_load),
};

static const struct layout records[] = {
	[RECORD_CPU] = LAYOUT(record_cpu),
	[RECORD_STATE] = LAYOUT(record_state),
	[RECORD_STEP] = LAYOUT(record_step),
	[RECORD_KSTEP] = LAYOUT(record_kstep),
	[RECORD_DONE] = LAYOUT(record_done),
	[RECORD_LOG] = LAYOUT(record_log),
	[RECORD_END] = EMPTY,
	[RECORD_LOAD_CPU] = LAYOUT(record_load_cpu),
	[RECORD_LOAD] = LAYOUT(record_load),
};

static const struct layout *layout_of(const struct layout *table, size_t n, int type)
{
	return type > 0 && (size_t)type < n && table[type].fields ? &table[type] : NULL;
}

const struct layout *message_layout(int type)
{
	return layout_of(messages, sizeof(messages) / sizeof(messages[0]), type);
}

const struct layout *record_layout(int type)
{
	return layout_of(records, sizeof(records) / sizeof(records[0]), type);
}
