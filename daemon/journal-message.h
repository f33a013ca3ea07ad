/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_JOURNAL_MESSAGE_H
#define DAEMON_JOURNAL_MESSAGE_H

/*
 * The outcomes that the log tells of: one table, against which systemd/vcpuhp.catalog and the manual
 * are checked. An id is for ever; what means something else gets another.
 */

enum journal_message {
	JOURNAL_NONE,
	JOURNAL_STARTED,
	JOURNAL_STOPPING,
	JOURNAL_CONFIGURATION_TAKEN,
	JOURNAL_CONFIGURATION_REFUSED,
	JOURNAL_LIBVIRT_CONNECTED,
	JOURNAL_LIBVIRT_LOST,
	JOURNAL_DOMAIN_ATTACHED,
	JOURNAL_DOMAIN_NOT_ATTACHED,
	JOURNAL_DOMAIN_LOST,
	JOURNAL_DOMAIN_LEFT,
	JOURNAL_DOMAIN_DEFINED,
	JOURNAL_DOMAIN_NOT_DEFINED,
	JOURNAL_AGENT_CONNECTED,
	JOURNAL_AGENT_GONE,
	JOURNAL_DRIFT_BEGUN,
	JOURNAL_DRIFT_ENDED,
	JOURNAL_VCPU_NOT_UNDONE,
	JOURNAL_OPERATION_DONE,
	JOURNAL_OPERATION_PARTIAL,
	JOURNAL_OPERATION_FAILED,
	JOURNAL_OPERATION_REFUSED,
	JOURNAL_OPERATION_PENDING,
	JOURNAL_OPERATION_CANCELLED,
	JOURNAL_OPERATION_STUCK,
	JOURNAL_OPERATION_NO_AGENT,
	JOURNAL_OPERATION_VM_GONE,
	JOURNAL_OPERATION_WARNED,
	JOURNAL_STORE_FAILED,
	JOURNAL_STORE_WORKS,
	JOURNAL_INTENT_FORGOTTEN,
	JOURNAL_PERMISSION_DENIED,
	JOURNAL_LINES_LEFT_OUT,
	JOURNAL_MESSAGES
};

/**
 * struct journal_message_def - one row
 * @id: MESSAGE_ID=, 32 hex digits
 * @priority: LOG_ERR, ...
 * @name: what the manual calls it
 * @sentence: the first line of its entry in the catalog; @NAME@ is a field of the entry's
 */
struct journal_message_def {
	const char *id;
	int priority;
	const char *name;
	const char *sentence;
};

/* The row of @m, which is not JOURNAL_NONE. */
const struct journal_message_def *journal_message_def(enum journal_message m);

#endif
