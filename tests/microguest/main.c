/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/microguest/console.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"
#include "tests/microguest/port.h"
#include <string.h>

/* Called by start.S on the boot vCPU. */
void guest_main(void);

enum { POLL_US = 200, IDLE_US = 2000 };

/* One for all vCPUs; ap_main() is given nothing. */
struct guest the_guest;

void text_copy(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

void guest_main(void)
{
	struct guest *g = &the_guest;

	console_init();
	machine_init();
	slots_init(g);
	link_init(g);
	if (port_init() < 0) {
		console_say("no virtio-serial-pci on the root bus");
		machine_park();
	}
	console_say("ready");
	for (;;) {
		command_turn(g);
		slots_turn(g);
		for_each_cpu (g, c)
			job_turn(g, c);
		link_turn(g);
		machine_rest_us(now_ns() < g->busy_until_ns ? POLL_US : IDLE_US);
	}
}
