/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_SHORTAGE_H
#define TESTS_SIM_SHORTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One allocation or one system call of the daemon's that fails. The program's own malloc() and calls
 * are in the way of all libraries too (shortage.c). What the simulation itself asks for is neither
 * counted nor refused: whose code runs is told here at each place where one side calls the other.
 */

/* The daemon's side runs from now on, or the simulation's. Return: which one did. */
bool shortage_side(bool daemon);

static inline void shortage_side_back(const bool *before)
{
	(void)shortage_side(*before);
}

#define SHORTAGE_SIDE(daemon) \
	__attribute__((cleanup(shortage_side_back), unused)) const bool side = shortage_side(daemon)
/* To the end of the block. */
#define AS_DAEMON SHORTAGE_SIDE(true)
#define AS_SIMULATION SHORTAGE_SIDE(false)

/* The calls that can be made to fail. */
enum shortage_call {
	CALL_ACCESS,
	CALL_CLOSE,
	CALL_CONNECT,
	CALL_EPOLL_CTL,
	CALL_EPOLL_WAIT,
	CALL_FALLOCATE,
	CALL_FCNTL,
	CALL_FSTAT,
	CALL_FSTATAT,
	CALL_GETAFFINITY,
	CALL_GETRANDOM,
	CALL_GETSOCKOPT,
	CALL_MKDIR,
	CALL_OPEN,
	CALL_OPENAT,
	CALL_PREAD,
	CALL_PWRITE,
	CALL_READ,
	CALL_READLINK,
	CALL_RECV,
	CALL_RENAMEAT,
	CALL_SEND,
	CALL_SETAFFINITY,
	CALL_SOCKET,
	CALL_UNLINKAT,
	CALL_WRITE,
	CALLS
};

const char *shortage_call_name(enum shortage_call call);

/* The errors that it is made to fail with, 0 behind the last. */
const int *shortage_call_errors(enum shortage_call call);

enum { SHORTAGE_CALLS_MAX = 64 * 1024, SHORTAGE_STACK_MAX = 32 };

/**
 * struct shortage - what is to fail, and what was seen
 * @allocation, @call: the one that fails, counted from 1; 0 none
 * @error: that call's errno
 * @hit: it has come to it; @stack: whose it was
 * @allocations, @n_calls: seen between shortage_open() and shortage_close()
 * @calls: the calls, in their order
 */
struct shortage {
	unsigned int allocation, call;
	int error;
	bool hit;
	void *stack[SHORTAGE_STACK_MAX];
	int depth;
	unsigned int allocations, n_calls;
	uint8_t calls[SHORTAGE_CALLS_MAX];
};

/* Where all of that stands, NULL nowhere; borrowed. */
void shortage_begin(struct shortage *s);
/* The daemon's allocations and calls count from here to there. */
void shortage_open(void);
void shortage_close(void);

/* For the calls that the simulation stands in for: does this one fail? errno is set then. */
bool shortage_refuses(enum shortage_call call);

/* It has come to what is to fail. */
bool shortage_hit(void);

/* Allocations that were not freed, of both sides. */
long shortage_live(void);

/**
 * shortage_run() - an add and a remove, with each allocation and each call in turn failing
 * @jobs: processes
 * @every: only each so-manieth case
 * @log: print of each operation that is not done why it is not
 *
 * Return: how many are wrong.
 */
unsigned int shortage_run(unsigned int jobs, unsigned int every, bool log);

/* One case of these, with all that happens in it. Return: -1 no such case, 1 it is wrong, else 0. */
int shortage_show(unsigned int number);

#endif
