/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PORT_H
#define AGENT_PORT_H

/**
 * port_open() - open the virtio-serial port, non-blocking
 * @root: descriptor of the root folder
 * @name: the port's virtio name, or a device path (with a '/')
 *
 * The kernel lets a port be opened once: that is the lock against a second agent.
 *
 * Return: a descriptor, -ENOENT while there is no such port, -EAGAIN while there is one without its
 * device node, -EBUSY while another has it, -errno.
 */
int port_open(int root, const char *name);

#endif
