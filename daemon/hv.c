/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/hv.h"

const char *hv_status_name(enum hv_status s)
{
	switch (s) {
	case HV_CONNECTING:
		return "attaching";
	case HV_RUNNING:
		return "running";
	case HV_PAUSED:
		return "paused";
	case HV_MIGRATING:
		return "migrating";
	case HV_SHUT_DOWN:
		return "shutdown";
	}
	return "unknown";
}
