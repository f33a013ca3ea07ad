/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LIBVIRT_MODULE_H
#define DAEMON_LIBVIRT_MODULE_H

#include "daemon/advice.h"
#include "daemon/hv.h"

/*
 * The border between the daemon and its libvirt module (hv-libvirt*.c), a shared object that is
 * loaded only where the configuration has a [Libvirt] section, since libvirt and what it brings
 * with it are larger than the rest of the daemon. All of it is called on the daemon's loop, and
 * none of it blocks: libvirt itself is spoken to by the module's own threads.
 */

enum { LIBVIRT_MODULE_ABI = 4 };

#define LIBVIRT_MODULE_SYMBOL "vcpuhp_libvirt_module"

struct libvirt;

/**
 * struct libvirt_domain - a running domain with the channel org.vcpuhp.agent.0
 * @name: as libvirt says, any bytes
 * @id: libvirt's number of it
 * @agent: path of the channel's socket
 */
struct libvirt_domain {
	const char *name;
	const char *uuid;
	int id;
	const char *agent;
};

/**
 * struct libvirt_events - what the module tells the daemon, from the loop
 * @on_domain: runs and has the channel; to manage it, make an object for its @uuid with hv_new()
 *             inside this call
 * @on_running: the connection is there, and these run and no others; @uuids is borrowed. Told before
 *              the first on_domain of the connection
 * @on_left: it does not run any more; its object must be freed
 * @on_connection: the connection is there (@rc 0, @text its URI), or why it is not: -EPERM libvirt
 *                 does not permit what is needed, else it is away; told when it is news
 */
struct libvirt_events {
	void (*on_domain)(void *ctx, const struct libvirt_domain *domain);
	void (*on_running)(void *ctx, const char (*uuids)[PERSIST_UUID_SIZE], size_t n);
	void (*on_left)(void *ctx, const char *uuid, const char *why);
	void (*on_connection)(void *ctx, int rc, const char *text);
};

/**
 * struct libvirt_module - what the shared object exports under LIBVIRT_MODULE_SYMBOL
 * @open: begin to connect to @uri, and again whenever it is lost (0.1 s to 2 s); once in a process
 * @close: all its hv objects must be freed; gives libvirt's calls under way a second to return
 * @hv_new: the seam's object of a domain named by on_domain
 * @persist: look at the persistent configuration of any domain, and change it where @change says
 *           what; @word: name, id or UUID, as virsh takes it. @done is called once, at the latest
 *           by close(), but where a call hangs for ever. Return: 0 or -errno, and then it is not
 * @advise: what the persistent configuration of any domain lacks, and what else is to be seen of it
 *          (advice.h); @define: and have it so.
 *          @maximum, @word, @done: as above, and as in advice_make(). -EBUSY: too many at once
 */
struct libvirt_module {
	unsigned int abi;
	int (*open)(struct libvirt **ret, sd_event *event, const char *uri,
		    const struct libvirt_events *events, void *ctx);
	struct libvirt *(*close)(struct libvirt *lv);
	int (*hv_new)(struct hv **ret, struct libvirt *lv, const char *uuid,
		      const struct hv_events *events, void *ctx);
	int (*persist)(struct libvirt *lv, const char *word, const struct persist_change *change,
		       persist_done_fn done, void *arg);
	int (*advise)(struct libvirt *lv, const char *word, unsigned int maximum, bool define,
		      advise_done_fn done, void *arg);
};

/**
 * libvirt_module_load() - find the module, as module_load() does
 */
int libvirt_module_load(const struct libvirt_module **ret, char **ret_why);

#endif
