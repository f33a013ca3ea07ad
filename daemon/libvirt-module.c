/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/libvirt-module.h"
#include "daemon/module.h"

int libvirt_module_load(const struct libvirt_module **ret, char **ret_why)
{
	const void *module;
	int r = module_load("vcpuhp-libvirt.so", LIBVIRT_MODULE_SYMBOL, LIBVIRT_MODULE_ABI, &module,
			    ret_why);

	if (r == 0)
		*ret = module;
	return r;
}
