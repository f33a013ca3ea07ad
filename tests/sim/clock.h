/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_CLOCK_H
#define TESTS_SIM_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The simulation's time. The linker gives the daemon these functions instead of sd-event's timers
 * and of clock_gettime() (--wrap, see meson.build): time stands still while anything is to be done,
 * and clock_jump() takes it to the next timer, whoever armed that.
 */

/**
 * struct clock_timer - one moment of the simulation's own, kept by its owner
 * @fn, @arg: called from clock_jump(); set by clock_init(). The timer may be armed again there.
 */
struct clock_timer {
	void (*fn)(void *arg);
	void *arg;
	uint64_t when_us, seq;
	size_t at; /* in the heap, counted from 1; 0 not armed */
};

/* Begin anew. Nothing may be armed. */
void clock_begin(void);
/* Give the memory back. Nothing may be armed. */
void clock_end(void);

uint64_t clock_us(void);

/* The wall clock is set forward or back; nothing may depend on it. */
void clock_set_wall(int64_t by_us);

void clock_init(struct clock_timer *t, void (*fn)(void *arg), void *arg);
void clock_arm(struct clock_timer *t, uint64_t after_us);
void clock_disarm(struct clock_timer *t);

/* Take the next timer that is due, and time with it. Return: false where there is none. */
bool clock_jump(void);

/* In real time: run what is due until @to_us, which is not before now; time is that then. */
void clock_advance(uint64_t to_us);
/* When the next timer is due, UINT64_MAX where there is none. */
uint64_t clock_next_us(void);

/* sd-event's timers that exist, for whoever counts what is left behind. */
size_t clock_sources(void);

#endif
