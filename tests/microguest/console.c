/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/microguest/console.h"
#include "tests/microguest/machine.h"
#include <string.h>

enum {
	UART = 0x3f8,
	UART_FIFO = UART + 2,
	UART_STATUS = UART + 5,
	FIFO_ON = 0x07,
	HAS_INPUT = 0x01,
	CAN_SEND = 0x20,
	LINE = 80,
};

static char input[LINE];
static size_t used;

void console_init(void)
{
	outb(UART_FIFO, FIFO_ON);
}

void console_put(const char *text)
{
	for (; *text; text++) {
		while (!(inb(UART_STATUS) & CAN_SEND))
			;
		outb(UART, (uint8_t)*text);
	}
}

void console_put_number(uint64_t n)
{
	char text[21] = "";
	size_t at = sizeof(text) - 1;

	do
		text[--at] = (char)('0' + n % 10);
	while (n /= 10);
	console_put(text + at);
}

void console_say(const char *text)
{
	console_put(text);
	console_put("\n");
}

void console_say_number(uint64_t n)
{
	console_put_number(n);
	console_put("\n");
}

int console_read_line(char *line, size_t size)
{
	while (inb(UART_STATUS) & HAS_INPUT) {
		char c = (char)inb(UART);

		if (c != '\n') {
			input[used] = c;
			used += used < sizeof(input) - 1;
			continue;
		}
		input[used] = '\0';
		memcpy(line, input, used < size ? used + 1 : size);
		line[size - 1] = '\0';
		used = 0;
		return 1;
	}
	return 0;
}
