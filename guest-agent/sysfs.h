/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_SYSFS_H
#define AGENT_SYSFS_H

#include <dirent.h>
#include <stddef.h>

/*
 * Small reads and writes of kernel files below a root folder. @root is a descriptor of the folder
 * that stands for "/" (--root), borrowed; @path is relative to it ("sys/devices/...", no leading
 * slash).
 */

/* Read a whole small file as text, trailing newlines cut. Return: length, or -errno (-EFBIG). */
int sysfs_read(int root, const char *path, char *buf, size_t size);

/* Read a decimal number. Return: 0, -EINVAL when it is none, or -errno. */
int sysfs_read_long(int root, const char *path, long *ret);

/* The same of a file that is kept open. */
int sysfs_reread_long(int fd, long *ret);
int sysfs_reread(int fd, char *buf, size_t size);

/* The number all of @text is, as the kernel names CPUs and interrupts. Return: -1 none, or 10^6 and up. */
int sysfs_number(const char *text);

/* Write @text in one write(2); never creates the file. May sleep in the kernel. Return: 0 or -errno. */
int sysfs_write(int root, const char *path, const char *text);

/* The entries of a folder. Return: the stream, the caller's to close, or NULL with errno. */
DIR *sysfs_open_folder(int root, const char *path);

/* Make the folders above @path, 0755 whatever the umask; those that are there stay as they are.
 * Return: 0 or -errno. */
int sysfs_make_parents(int root, const char *path);

/* Make a file of ours anew, in place of what is there; its parents too. Return: its descriptor, the
 * caller's, or -errno. */
int sysfs_make(int root, const char *path);
int sysfs_write_all(int fd, const char *data, size_t len); /* Return: 0 or -errno. */

/* Replace a file of ours (write beside it, rename). Makes its parents. Return: 0 or -errno. */
int sysfs_replace(int root, const char *path, const char *data, size_t len);

/* Take a lock file, made where it is missing (parents too); waits. Return: a descriptor whose close
 * frees it, or -errno. */
int sysfs_lock(int root, const char *path);

#endif
