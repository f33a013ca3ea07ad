/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_MACHINE_H
#define MICROGUEST_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* The processor and its local APIC. Everything is for the vCPU that calls, unless it names another. */

enum { APIC_IDS = 256 };

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %w1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %w1" ::"a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %w1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* What another vCPU wrote before is seen after. x86 keeps the order; the compiler must, too. */
static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Of the boot vCPU: interrupts, clock, and the page that added vCPUs begin at. */
void machine_init(void);

/* Of an added vCPU: the same interrupts. */
void machine_join(void);

/* CLOCK_MONOTONIC of this guest: ns by the TSC since it started. */
uint64_t now_ns(void);

uint32_t apic_id(void);

/* Halt until an interrupt. What came before it is not lost: interrupts are off. */
void machine_halt(void);
/* Halt for ever, deaf to all but INIT. */
__attribute__((noreturn)) void machine_park(void);

/* Halt until woken, at most that long. */
void machine_rest_us(uint32_t us);
/* Busy, for the few places that may not halt. */
void machine_delay_us(uint32_t us);

/* The period of this vCPU's APIC timer from now on, 0 none; and how often it has fired here. */
void apic_set_timer(uint32_t us);
uint32_t apic_timer_shots(void);

void machine_wake(uint32_t apic);
/* INIT: whatever it did, that vCPU now waits for a start-up IPI and runs nothing. */
void machine_init_vcpu(uint32_t apic);
/* Start-up IPI: it begins in ap_main() on @stack_end. */
void machine_start_vcpu(uint32_t apic, void *stack_end);

#endif
