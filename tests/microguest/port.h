/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_PORT_H
#define MICROGUEST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A virtio-serial port, the agent's channel: virtio-serial-pci by its I/O ports, polled. */

/* Return: 0, or -ENODEV where the machine has no such device. */
int port_init(void);

/* Take in what the device has said. Return: whether a host is connected to the port. */
bool port_turn(void);

/* Return: bytes read; 0 when there are none. */
size_t port_read(uint8_t *to, size_t size);

/* Return: bytes taken, which a host that does not read makes less than @size. */
size_t port_write(const uint8_t *from, size_t size);

#endif
