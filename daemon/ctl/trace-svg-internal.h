/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_TRACE_SVG_INTERNAL_H
#define DAEMON_CTL_TRACE_SVG_INTERNAL_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In pixels. */
enum {
	WIDTH = 1200,
	LEFT = 150,
	PLOT = WIDTH - LEFT - 20,
	LANE = 20,
	LINE = 15,
	LETTER = 6, /* of a label's font, a wide one on average */
	TICKS = 12,
	WORDS = PLOT / LETTER, /* letters of a line */
};

struct span {
	json_object *event; /* borrowed */
	const char *name, *op;
	int64_t from_us, to_us;
	int vcpu, lane;
	size_t panel; /* the first span of its operation */
};

/* @y: where the next thing goes; @from_us, @length_us: what the panel shows */
struct picture {
	FILE *out;
	struct span *spans;
	size_t n;
	int y;
	int64_t from_us, length_us;
};

/* For what XML has words of its own, or none; @n letters at most. */
void svg_put_text(FILE *f, const char *text, size_t n);

/* All that is known of a span, as viewers show it of what is pointed at. */
void svg_put_title(FILE *f, const struct span *s);

/*
 * The times of the steps of a vCPU in as many lines as it takes, "qemu:device 3.1 · ap:online down
 * 24.0 ..." (with "+" one that was not left), and below them why each failed that did.
 */
void svg_write_times(struct picture *p, const struct span *first, const struct span *end);

#endif
