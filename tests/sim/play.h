/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_PLAY_H
#define TESTS_SIM_PLAY_H

/**
 * play_file() - give the scripted QEMU what a dialogue says, and print what it answers
 * @path: lines "> COMMAND" (JSON) to QEMU, "guest WORD [SLOT]" for the guest; others are passed over
 *
 * Each of those lines is printed, and behind it what QEMU said until all was quiet.
 *
 * Return: 0, or 1 for a file that cannot be read or a line that is none.
 */
int play_file(const char *path);

#endif
