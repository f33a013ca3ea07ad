/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DEFERRED_H
#define DAEMON_DEFERRED_H

#include <systemd/sd-event.h>

/*
 * What is called from the event loop later on. It is made with its owner and turned on when it is
 * due, which needs no memory: a call that could not be arranged would be a wait without an end.
 */

/* Return: 0 or -errno. @ret: sd_event_source_disable_unref() by its owner, also after an error. */
static inline int deferred_new(sd_event_source **ret, sd_event *event, sd_event_handler_t fn,
			       void *arg)
{
	int r = sd_event_add_defer(event, ret, fn, arg);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

/* Once, however often this was said before. */
static inline void deferred_call(sd_event_source *s)
{
	(void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

#endif
