/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SHORTAGE_H
#define TESTS_SHORTAGE_H

#include <stdbool.h>

/*
 * Allocations of the code under test that fail when they are told to. The linker puts the wrappers
 * in their way (--wrap, see meson.build); what shared libraries allocate inside is not reached, so
 * their constructors are wrapped whole.
 */

/* The @nth allocation from now on fails, counted from 1; if @lasting, all behind it too. */
void shortage_start(unsigned int nth, bool lasting);

/* None fails any more. Whether one did since the start. */
bool shortage_stop(void);

#endif
