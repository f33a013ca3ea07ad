/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/microguest/machine.h"
#include "tests/microguest/console.h"
#include <stddef.h>
#include <string.h>

enum {
	AP_PAGE = 0x8000, /* as in start.S */
	VECTOR_WAKE = 0x40,
	VECTOR_TIMER = 0x41,
	CODE64 = 0x18,
	GATE = 0x8e00,
	ICR_INIT = 0x4500,
	ICR_STARTUP = 0x4600,
	ICR_FIXED = 0x4000,
	TIMER_PERIODIC = 1 << 17,
	APIC_TICKS_US = 1000, /* KVM's runs at 1 GHz */
	PIT_HZ = 1193182,
	PIT_TICKS = 12000, /* about 10 ms */
};

enum apic_register {
	APIC_ID = 0x20,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ICR = 0x300,
	APIC_ICR_TO = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_TIMER_COUNT = 0x380,
	APIC_TIMER_DIVIDE = 0x3e0,
};

extern const uint8_t ap_boot[], ap_boot_end[];
/* Read by start.S. */
extern void *volatile ap_stacks[APIC_IDS];
void *volatile ap_stacks[APIC_IDS];
extern void on_wake(void), on_timer(void), on_fault(void);
/* Called by start.S. */
void apic_end_interrupt(void);
void apic_on_timer(void);
void guest_fault(const uint64_t *frame);

static uint64_t gates[256][2];
static volatile uint32_t shots[APIC_IDS];
static uint64_t started_tsc, ns_by_tsc; /* 32 bits of fraction */

static volatile uint32_t *apic(enum apic_register r)
{
	return (volatile uint32_t *)(uintptr_t)(0xfee00000 + r);
}

uint32_t apic_id(void)
{
	return *apic(APIC_ID) >> 24;
}

void apic_end_interrupt(void)
{
	*apic(APIC_EOI) = 0;
}

void apic_on_timer(void)
{
	shots[apic_id()]++;
	*apic(APIC_EOI) = 0;
}

void guest_fault(const uint64_t *frame)
{
	console_say("the guest is at its end: exception");
	for (int i = 0; i < 4; i++)
		console_say_number(frame[i]);
	machine_park();
}

static void set_gate(int vector, void (*entry)(void))
{
	uint64_t to = (uintptr_t)entry;

	gates[vector][0] =
		(to & 0xffff) | CODE64 << 16 | (uint64_t)GATE << 32 | (to >> 16 & 0xffff) << 48;
	gates[vector][1] = to >> 32;
}

void machine_join(void)
{
	const struct {
		uint16_t limit;
		uint64_t at;
	} __attribute__((packed)) idt = { sizeof(gates) - 1, (uintptr_t)gates };

	__asm__ volatile("lidt %0" ::"m"(idt));
	*apic(APIC_SPURIOUS) = 0x1ff;
	*apic(APIC_TIMER_DIVIDE) = 0xb;
	*apic(APIC_LVT_TIMER) = TIMER_PERIODIC | VECTOR_TIMER;
}

/* The PIT's second channel counts down where no interrupt is made of it. */
static uint32_t pit_count(void)
{
	uint32_t low;

	outb(0x43, 0x80);
	low = inb(0x42);
	return low | (uint32_t)inb(0x42) << 8;
}

static void measure_tsc(void)
{
	uint64_t from, to;
	uint32_t first, last;

	outb(0x61, (uint8_t)((inb(0x61) & ~2) | 1));
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	first = pit_count();
	from = tsc();
	do
		last = pit_count();
	while (first - last < PIT_TICKS);
	to = tsc();
	ns_by_tsc = ((uint64_t)(first - last) * 1000000000 / PIT_HZ << 32) / (to - from);
}

void machine_init(void)
{
	started_tsc = tsc();
	for (int i = 0; i < 256; i++)
		set_gate(i, on_fault);
	set_gate(VECTOR_WAKE, on_wake);
	set_gate(VECTOR_TIMER, on_timer);
	machine_join();
	memcpy((void *)AP_PAGE, ap_boot, (size_t)(ap_boot_end - ap_boot));
	measure_tsc();
}

uint64_t now_ns(void)
{
	return (uint64_t)((unsigned __int128)(tsc() - started_tsc) * ns_by_tsc >> 32);
}

void machine_halt(void)
{
	/* sti takes effect behind the next instruction: nothing comes between the two. */
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void machine_park(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void machine_delay_us(uint32_t us)
{
	uint64_t end = now_ns() + us * 1000ull;

	while (now_ns() < end)
		__asm__ volatile("pause");
}

void apic_set_timer(uint32_t us)
{
	*apic(APIC_TIMER_COUNT) = us * APIC_TICKS_US;
}

uint32_t apic_timer_shots(void)
{
	return shots[apic_id()];
}

void machine_rest_us(uint32_t us)
{
	apic_set_timer(us);
	machine_halt();
}

static void send(uint32_t to, uint32_t what)
{
	*apic(APIC_ICR_TO) = to << 24;
	*apic(APIC_ICR) = what;
}

void machine_wake(uint32_t to)
{
	send(to, ICR_FIXED | VECTOR_WAKE);
}

void machine_init_vcpu(uint32_t to)
{
	send(to, ICR_INIT);
	/* It is taken by the other in its own time. */
	machine_delay_us(200);
}

void machine_start_vcpu(uint32_t to, void *stack_end)
{
	ap_stacks[to] = stack_end;
	barrier();
	send(to, ICR_STARTUP | AP_PAGE >> 12);
}
