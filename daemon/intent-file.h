/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_INTENT_FILE_H
#define DAEMON_INTENT_FILE_H

#include "daemon/intent.h"

struct intent_store;
struct intent_file;

/**
 * intent_store_open() - the folder of the intents, RUNTIME-DIR/intent; made where it is missing
 * @ret: returned to the caller, intent_store_free(); also where the folder cannot be had: each
 *       writing tries again and says why not
 *
 * Return: 0 or -ENOMEM.
 */
int intent_store_open(struct intent_store **ret, const char *runtime_dir);
struct intent_store *intent_store_free(struct intent_store *s);

/**
 * intent_store_sweep() - drop what is kept of libvirt's domains that do not run
 * @running: UUIDs of those that do, @n of them
 *
 * A domain that ended while no daemon was there is nobody's else, and its file would stay.
 */
void intent_store_sweep(struct intent_store *s, const char (*running)[PERSIST_UUID_SIZE], size_t n);

/**
 * intent_file_new() - the intent of one domain
 * @name: of the domain; with @uuid, which is "" or libvirt's, no two are the same file
 *
 * Nothing is made on the disk before there is something to be written.
 *
 * Return: 0 or -ENOMEM.
 */
int intent_file_new(struct intent_file **ret, struct intent_store *store, const char *name,
		    const char *uuid);
struct intent_file *intent_file_free(struct intent_file *f);

/**
 * intent_file_load() - read what was written last
 * @ret: returned to the caller, intent_done(); untouched where there is nothing
 * @ret_why: on an error why what was there is of no use: a sentence, for the log; it has been removed,
 *	unless it only could not be read now
 *
 * What another version of vcpuhpd has written stays there, untouched, and as long as it does nothing
 * can be written: @ret_why says so.
 *
 * Return: 1 with an intent, 0 there is none, -EPROTONOSUPPORT another version's, or -errno.
 */
int intent_file_load(struct intent_file *f, struct intent *ret, char ret_why[OP_TEXT_MAX]);

/**
 * intent_file_store() - keep @i, from now on
 * @i: its @seq is set
 * @ret_why: on an error a sentence: which file, why, and what to do
 *
 * One pwrite() into a file of a fixed size; made or made larger only when it must be.
 *
 * Return: 0 or -errno; what was kept before is kept then.
 */
int intent_file_store(struct intent_file *f, struct intent *i, char ret_why[OP_TEXT_MAX]);

/* Would the next daemon find it there? As intent_file_store(); a file that has gone is made anew. */
int intent_file_check(struct intent_file *f, struct intent *i, char ret_why[OP_TEXT_MAX]);

/* The domain is no more. What is another version's stays. */
void intent_file_remove(struct intent_file *f);

/* intent-why.c: why one could not be read; static. */
const char *intent_why_unread(int r);
/* Why one could not be written, and what to do. */
void intent_why_unwritten(const char *folder, const char *name, int r, char ret[OP_TEXT_MAX]);

/* This boot of the host, and the kernel's tick at which a process started; all 0 and 0 unknown. */
void intent_host_boot(uint8_t ret[16]);
uint64_t intent_process_started(int pid);

#endif
