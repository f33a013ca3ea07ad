/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_H
#define DAEMON_HV_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

/*
 * The hypervisor seam: what the domain asks of QEMU, whoever talks to it (QMP, or libvirt). All is
 * asynchronous on one sd-event loop; each request answers exactly once, also when the connection
 * is lost (-ECONNRESET) or the deadline passes (-ETIMEDOUT), never from inside the call itself.
 */

enum hv_status {
	HV_CONNECTING, /* not there yet, or lost and being tried again */
	HV_RUNNING,
	HV_PAUSED,    /* paused, suspended, prelaunch, io-error, watchdog, guest-panicked, ... */
	HV_MIGRATING, /* in- or outgoing */
	HV_SHUT_DOWN,
};

const char *hv_status_name(
	enum hv_status s); /* "attaching" "running" "paused" "migrating" "shutdown" */

/**
 * struct hv_slot - one possible vCPU
 * @present: QEMU has it (the slot has a qom-path)
 * @removable: it has a device id under /machine/peripheral
 * @id: that device id, or ""
 * @thread_id: host thread, 0 unknown
 * @apic_id: from the props; under KVM the vCPU's id
 * @props: compact JSON text of QEMU's props, owned by the table
 */
struct hv_slot {
	bool present;
	bool removable;
	char id[64];
	pid_t thread_id;
	uint32_t apic_id;
	char *props;
};

/**
 * struct hv_table - QEMU's slots, sorted ascending by props; the index is the vCPU number
 * @supported: x86 with vcpus-count 1; else @why says what is not
 */
struct hv_table {
	unsigned int n;
	bool supported;
	char why[128];
	struct hv_slot *slots;
};

/* "auto", which QEMU resolves and does not tell, is not known. */
enum hv_smm { HV_SMM_UNKNOWN, HV_SMM_OFF, HV_SMM_ON };

/* Facts fixed at attach. */
struct hv_facts {
	char uuid[37];  /* "" unknown */
	char accel[16]; /* "kvm", "tcg" (query-kvm says not enabled) */
	bool kvm;
	bool pflash;          /* firmware in pflash is present (OneByOne=auto) */
	enum hv_smm smm;      /* the machine has SMM (libvirt's secure loader sets it) */
	char version[32];     /* QEMU's */
	char machine[64];     /* machine type */
	unsigned int maximum; /* slots */
	pid_t peer;           /* the process behind the socket, 0 unknown */
	int libvirt_id;       /* libvirt's number of the running domain, 0 none */
};

enum hv_ost_source { HV_OST_ADD = 1, HV_OST_REMOVE = 3 };

/**
 * struct hv_events - what the hypervisor tells the domain
 * @on_status: status changed (also the first); HV_RUNNING and others only after attach
 * @on_attached: connected; facts and table are there (again after a reconnect)
 * @on_table: a fresh table, after each hv_query() and after events that may change it; borrowed
 * @on_ost: ACPI_DEVICE_OST of a CPU slot: _OST source event and status, the guest's word
 * @on_unplug_error: DEVICE_UNPLUG_GUEST_ERROR or MEM-like refusals for a device id of a CPU
 * @on_reset: the guest was reset
 * @on_gone: connection lost or QEMU exited; it is being tried again
 * @on_port_closed: somebody in the guest has closed a virtio-serial port, whichever it is
 */
struct hv_events {
	void (*on_status)(void *ctx, enum hv_status status);
	void (*on_attached)(void *ctx, const struct hv_facts *facts);
	void (*on_table)(void *ctx, const struct hv_table *table);
	void (*on_ost)(void *ctx, unsigned int slot, int source, int status);
	void (*on_unplug_error)(void *ctx, unsigned int slot);
	void (*on_reset)(void *ctx);
	void (*on_gone)(void *ctx, const char *why);
	void (*on_port_closed)(void *ctx);
};

/*
 * A request that returns 0 is answered exactly once; one that returns -errno never is: -ENOTCONN
 * not attached, -EBUSY QEMU owes overdue replies (on_table comes when it has caught up).
 * hv_free() forgets the unanswered ones without a call; it may be called in any callback.
 *
 * @rc: 0 or -errno; @text: QEMU's own sentence on an error, else ""
 */
typedef void (*hv_done_fn)(void *arg, int rc, const char *text);

/* For a request whose answer nobody needs. */
static inline void hv_ignore(void *arg, int rc, const char *text)
{
}

struct hv;

/* What place() returns when it has been done at once. */
enum { HV_DONE = 1 };

/**
 * struct hv_ops - an implementation of the seam
 * @hypervisor: "qemu" or "libvirt"
 * @lost_ms: how long after on_gone the VM is taken for gone, unless it is_there; 0: not by that
 *           alone, the connection says nothing of the VM and whoever made the domain hears of its
 *           end
 * @one_unplug: an unplug holds up the domain's next requests until it is over, so of several
 *              vCPUs only one is to be asked for at a time: what waits behind it could not be
 *              called back
 * @names_devices: the hypervisor names the devices itself, so an id says nothing of who plugged
 *                 them, and what others plugged is as good as our own
 */
struct hv_ops {
	const char *hypervisor;
	unsigned int lost_ms;
	bool one_unplug;
	bool names_devices;
	/* @thread: its host thread is asked for with it, where this implementation places by that, so that it can
	 * be placed at once; else it is known after the next look. */
	int (*plug)(struct hv *hv, unsigned int slot, const char *id, bool thread, hv_done_fn cb,
		    void *arg);
	int (*unplug)(struct hv *hv, unsigned int slot, hv_done_fn cb, void *arg);
	/* Refresh table, status and the last OST of each slot; on_table comes before @cb. */
	int (*query)(struct hv *hv, hv_done_fn cb, void *arg);
	/* The same of table and status alone, when it suits; what comes of it the events tell. @news: there
	 * may be some: the table alone, within what events of its own may cost. */
	void (*look)(struct hv *hv, bool news);
	/* Pin the vCPU's thread; NULL @cpus undoes. HV_DONE: it is, and @cb will not be called. */
	int (*place)(struct hv *hv, unsigned int slot, const struct cpulist *cpus, hv_done_fn cb,
		     void *arg);
	/* After on_gone: whether the VM's own process has been met since, or just before. NULL: where
	 * @lost_ms is 0, nobody asks. */
	bool (*is_there)(struct hv *hv);
	/* Another deadline of QMP's replies, for what is sent from now on; NULL: there is none. */
	void (*set_reply_ms)(struct hv *hv, unsigned int reply_ms);
	struct hv *(*free)(struct hv *hv);
};

/* Every implementation begins with this. */
struct hv {
	const struct hv_ops *ops;
};

static inline struct hv *hv_free(struct hv *hv)
{
	return hv ? hv->ops->free(hv) : NULL;
}

/**
 * hv_qmp_new() - a domain on a QMP socket
 * @path: of the socket, copied
 * @reply_ms: deadline of one QMP reply (on a domain without KVM 6 times that)
 * @events: borrowed, must outlive the result
 *
 * Connects in the background and again after a loss (backoff 0.1 s to 2 s).
 *
 * Return: 0 or -errno.
 */
int hv_qmp_new(struct hv **ret, sd_event *event, const char *path, unsigned int reply_ms,
	       const struct hv_events *events, void *ctx);

#endif
