/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/config.h"

/*
 * What a configuration asks for, compared with the domains that are there. It is asked again
 * whenever one of them has come to rest, so it looks at what is and not at what was last read.
 */

enum reload_act {
	RELOAD_KEEP,
	RELOAD_CHANGE,  /* other settings, which its next operation is to have */
	RELOAD_REPLACE, /* other sockets: it is let go when it is idle, and attached anew */
	RELOAD_LEAVE,   /* it stands there no more: it is let go when it is idle */
	RELOAD_ATTACH,  /* it is not there yet */
	RELOAD_WAIT,    /* the same, and another one has its name or one of its sockets */
};

/* A domain that is there. @configured: by a section or by libvirt, not by Attach */
struct reload_have {
	const struct domain_config *config;
	bool configured;
};

/**
 * struct reload_step - what becomes of one domain; all borrowed
 * @have: as it is, NULL not there
 * @want: its section, NULL none
 * @other: RELOAD_WAIT: who is in its way
 */
struct reload_step {
	enum reload_act act;
	const struct domain_config *have, *want, *other;
};

/* What becomes of a domain that is there. */
struct reload_step reload_judge(const struct reload_have *have, const struct config *want);

/**
 * reload_plan() - what becomes of all
 * @ret: room for @n + @want->n_domains: first those that are there, in their order
 *
 * A domain of libvirt's comes and goes there: of its section only the settings count.
 *
 * Return: how many steps.
 */
size_t reload_plan(const struct reload_have *have, size_t n, const struct config *want,
		   struct reload_step *ret);

/**
 * reload_settings() - a domain that stays who it is, with the settings of its section
 * @have: name, UUID and sockets
 * @section: all else; NULL what holds without one
 *
 * Return: a view of the two, to be copied; nothing in it is owned.
 */
struct domain_config reload_settings(const struct domain_config *have,
				     const struct domain_config *section);

/* Whether what is there of [Libvirt] is what is asked for: it is only taken at a start. */
bool reload_same_libvirt(const struct config *have, const struct config *want);

#endif
