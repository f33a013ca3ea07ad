/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_OTHERS_H
#define AGENT_OTHERS_H

#include <stdbool.h>

/*
 * Who else in this guest has a hand in CPUs and their interrupts; told to the host in HELLO, which
 * shows it to people and decides nothing by it. @root: as in sysfs.h
 */

/**
 * others_udev_onlines() - does a udev rule bring new CPUs online?
 *
 * Reads all rules: not for the main loop, which no disk may hold up. Rules that run a program for it
 * are not found out, nor what else must hold for a rule (of which hypervisor it is, a GOTO).
 *
 * Source: udev(7), "Rules files": a file of the same name in an earlier folder replaces a later one.
 */
bool others_udev_onlines(int root);

/* Is there a process of that name? Reads /proc alone. */
bool others_irqbalance_runs(int root);

#endif
