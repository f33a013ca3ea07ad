/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_COMPLETE_H
#define DAEMON_CTL_COMPLETE_H

/**
 * complete() - vcpuhpctl --complete: print what a shell can put in the place of the last word
 * @words: after the program's name up to the cursor, the one being typed last (it may be empty),
 *         ended by NULL; changed
 *
 * One candidate a line, each the whole word, with a tab and a description where there is one. A line
 * ":file" says that it is a path, which the shell knows best. Nothing where there is nothing to say,
 * and within a second, also where the daemon does not answer. Only reading methods are called.
 *
 * Return: 0.
 */
int complete(char **words);

#endif
