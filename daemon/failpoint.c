/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/failpoint.h"

int failpoint(const char *point)
{
	return 0;
}
