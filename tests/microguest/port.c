/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One multiport console on the root bus. Its BAR is given an address here, as no firmware has.
 * Six queues are used: control in and out, and in and out of port 1, the first one that
 * -device virtserialport makes; the first two belong to port 0, a console that nobody asked for.
 *
 * Each queue owns as many buffers as it uses descriptors, descriptor i always being buffer i. An
 * input's buffer goes back to the device when all of it was read, an output's is free again when the
 * device has used it, which it does not do while no host reads.
 *
 * Source: virtio 1.2, section 5.3 (console) and the legacy interfaces of 2.7 and 4.1.
 */
#include "tests/microguest/port.h"
#include "tests/microguest/machine.h"
#include <errno.h>
#include <string.h>

enum {
	VIRTIO_VENDOR = 0x1af4,
	VIRTIO_CONSOLE = 0x1003,
	IO_BASE = 0xc000,
	/* legacy registers */
	GUEST_FEATURES = IO_BASE + 4,
	QUEUE_PAGE = IO_BASE + 8,
	QUEUE_SIZE = IO_BASE + 12,
	QUEUE_SELECT = IO_BASE + 14,
	QUEUE_NOTIFY = IO_BASE + 16,
	STATUS = IO_BASE + 18,
	STATUS_DRIVER_OK = 7,
	FEATURE_MULTIPORT = 1 << 1,
	/* queues */
	CONTROL_IN = 2,
	CONTROL_OUT = 3,
	PORT_IN = 4,
	PORT_OUT = 5,
	QUEUES = 6,
	RING_MAX = 256,
	BUFFERS = 8,
	BUFFER = 4096,
	DESC_WRITE = 2,
	NO_INTERRUPT = 1,
	/* control messages */
	DEVICE_READY = 0,
	PORT_ADD = 1,
	PORT_READY = 3,
	PORT_OPEN = 6,
	THE_PORT = 1,
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct control {
	uint32_t id;
	uint16_t event, value;
};

/**
 * struct queue - one virtqueue
 * @ring: what the device sees: descriptors, available ring, and on a page of its own the used ring
 * @avail: buffers given to the device, ever
 * @seen: buffers taken back, ever
 * @at: bytes read of the input buffer that was taken last
 */
struct queue {
	uint8_t ring[3 * 4096] __attribute__((aligned(4096)));
	uint8_t buffers[BUFFERS][BUFFER];
	uint16_t index, size;
	uint16_t avail, seen;
	size_t at;
};

static struct queue queues[QUEUES];
static bool connected;

static uint32_t pci_address(unsigned int device, unsigned int reg)
{
	return 0x80000000 | device << 11 | reg;
}

static uint32_t pci_read(unsigned int device, unsigned int reg)
{
	outl(0xcf8, pci_address(device, reg));
	return inl(0xcfc);
}

static void pci_write(unsigned int device, unsigned int reg, uint32_t v)
{
	outl(0xcf8, pci_address(device, reg));
	outl(0xcfc, v);
}

static volatile struct desc *desc_of(struct queue *q)
{
	return (volatile struct desc *)q->ring;
}

/* flags, index, ring[] */
static volatile uint16_t *avail_of(struct queue *q)
{
	return (volatile uint16_t *)(q->ring + sizeof(struct desc) * q->size);
}

/* flags, index, then pairs of id and length */
static volatile uint16_t *used_of(struct queue *q)
{
	size_t end = sizeof(struct desc) * q->size + sizeof(uint16_t) * (3u + q->size);

	return (volatile uint16_t *)(q->ring + ((end + 4095) & ~(size_t)4095));
}

static uint32_t used_length(struct queue *q)
{
	volatile uint16_t *u = used_of(q) + 2 + (size_t)4 * (q->seen % q->size);

	return *(volatile uint32_t *)(u + 2);
}

static unsigned int used_buffer(struct queue *q)
{
	return used_of(q)[2 + 4 * (q->seen % q->size)] % BUFFERS;
}

static void give(struct queue *q, unsigned int buffer, uint32_t len, uint16_t flags)
{
	desc_of(q)[buffer] =
		(struct desc){ .addr = (uintptr_t)q->buffers[buffer], .len = len, .flags = flags };
	avail_of(q)[2 + q->avail % q->size] = (uint16_t)buffer;
	barrier();
	avail_of(q)[1] = ++q->avail;
	barrier();
	outw(QUEUE_NOTIFY, q->index);
}

static bool has_used(struct queue *q)
{
	return used_of(q)[1] != q->seen;
}

static void open_queue(uint16_t index, bool in)
{
	struct queue *q = &queues[index];

	outw(QUEUE_SELECT, index);
	q->index = index;
	q->size = inw(QUEUE_SIZE);
	q->avail = q->seen = 0;
	q->at = 0;
	if (q->size == 0 || q->size > RING_MAX)
		return;
	avail_of(q)[0] = NO_INTERRUPT;
	outl(QUEUE_PAGE, (uint32_t)((uintptr_t)q->ring >> 12));
	for (unsigned int i = 0; in && i < BUFFERS; i++)
		give(q, i, BUFFER, DESC_WRITE);
}

static size_t put(struct queue *q, const void *from, size_t size)
{
	size_t done = 0;

	while (has_used(q))
		q->seen++;
	while (done < size && (uint16_t)(q->avail - q->seen) < BUFFERS) {
		unsigned int buffer = q->avail % BUFFERS;
		size_t n = size - done < BUFFER ? size - done : BUFFER;

		memcpy(q->buffers[buffer], (const uint8_t *)from + done, n);
		give(q, buffer, (uint32_t)n, 0);
		done += n;
	}
	return done;
}

static size_t get(struct queue *q, void *to, size_t size)
{
	uint32_t len;
	size_t n;

	if (!has_used(q))
		return 0;
	len = used_length(q);
	n = len - q->at < size ? len - q->at : size;
	memcpy(to, q->buffers[used_buffer(q)] + q->at, n);
	q->at += n;
	if (q->at == len) {
		unsigned int buffer = used_buffer(q);

		q->at = 0;
		q->seen++;
		give(q, buffer, BUFFER, DESC_WRITE);
	}
	return n;
}

static void tell(uint32_t id, uint16_t event, uint16_t value)
{
	const struct control c = { id, event, value };

	(void)put(&queues[CONTROL_OUT], &c, sizeof(c));
}

static int find_device(unsigned int *ret)
{
	for (unsigned int device = 0; device < 32; device++) {
		if (pci_read(device, 0) == (VIRTIO_VENDOR | (uint32_t)VIRTIO_CONSOLE << 16)) {
			*ret = device;
			return 0;
		}
	}
	return -ENODEV;
}

int port_init(void)
{
	unsigned int device;
	int r = find_device(&device);

	if (r < 0)
		return r;
	pci_write(device, 0x10, IO_BASE);
	pci_write(device, 0x04, 0x5); /* I/O, and memory of ours for it to use */
	outb(STATUS, 0);
	outb(STATUS, STATUS_DRIVER_OK & ~4);
	outl(GUEST_FEATURES, FEATURE_MULTIPORT);
	for (int i = CONTROL_IN; i < QUEUES; i++)
		open_queue((uint16_t)i, i == CONTROL_IN || i == PORT_IN);
	outb(STATUS, STATUS_DRIVER_OK);
	/* What was given before that may have been overlooked. */
	outw(QUEUE_NOTIFY, CONTROL_IN);
	outw(QUEUE_NOTIFY, PORT_IN);
	connected = false;
	tell(UINT32_MAX, DEVICE_READY, 1);
	return 0;
}

static void on_control(const struct control *c)
{
	if (c->event == PORT_ADD) {
		tell(c->id, PORT_READY, 1);
		if (c->id == THE_PORT)
			tell(c->id, PORT_OPEN, 1);
	} else if (c->event == PORT_OPEN && c->id == THE_PORT) {
		connected = c->value;
	}
}

bool port_turn(void)
{
	struct control c;
	uint8_t rest[64];

	while (get(&queues[CONTROL_IN], &c, sizeof(c)) == sizeof(c)) {
		/* A port's name follows its message. */
		while (queues[CONTROL_IN].at > 0)
			(void)get(&queues[CONTROL_IN], rest, sizeof(rest));
		on_control(&c);
	}
	return connected;
}

size_t port_read(uint8_t *to, size_t size)
{
	return get(&queues[PORT_IN], to, size);
}

size_t port_write(const uint8_t *from, size_t size)
{
	return put(&queues[PORT_OUT], from, size);
}
