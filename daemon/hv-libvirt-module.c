/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the shared object shows of itself. */
#include "daemon/hv-libvirt-internal.h"

static int new_hv(struct hv **ret, struct libvirt *lv, const char *uuid,
		  const struct hv_events *events, void *ctx)
{
	return hv_lv_new(ret, lv, uuid, events, ctx);
}

extern const struct libvirt_module vcpuhp_libvirt_module;

__attribute__((visibility("default"))) const struct libvirt_module vcpuhp_libvirt_module = {
	.abi = LIBVIRT_MODULE_ABI,
	.open = lv_open,
	.close = lv_close,
	.hv_new = new_hv,
	.persist = lv_persist,
	.advise = lv_advise,
};
