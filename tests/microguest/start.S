/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way from the reset vector, or from a start-up IPI, into C in long mode.
 *
 * The image is the machine's firmware: it ends at 4 GiB, where the first vCPU begins, and is linked
 * to run at 1 MiB, where it copies itself. An added vCPU begins at AP_PAGE, a page of low memory
 * that ap_boot is copied to, and finds its stack in ap_stacks by its APIC's id: several may be on
 * their way here at once.
 */
#define AP_PAGE 0x8000
#define BOOT_PAGE 0xf000 /* within the last 64 KiB */
#define APIC_ID 0xfee00020
#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18
#define CR0_PE 1
#define CR0_PG_WP_NE_MP 0x80010022
#define CR4_PAE_OSFXSR 0x620
#define EFER 0xc0000080
#define LME 0x100

	/* Into protected mode, from wherever %cs points; @far goes on there. */
	.macro enter_protected gdtr, far
	cli
	lgdtl %cs:\gdtr
	mov %cr0, %eax
	or $CR0_PE, %al
	mov %eax, %cr0
	ljmpl $CODE32, $\far
	.endm

	.macro load_data
	mov $DATA, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	.endm

	.macro enter_long far
	mov $CR4_PAE_OSFXSR, %eax
	mov %eax, %cr4
	mov $page_map, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	or $LME, %eax
	wrmsr
	mov %cr0, %eax
	and $~4, %eax
	or $CR0_PG_WP_NE_MP, %eax
	mov %eax, %cr0
	ljmpl $CODE64, $\far
	.endm

	.macro descriptors
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
	.endm

/* ---- the end of the image */

	.section .boot, "ax"
	.code16
boot16:
	enter_protected (BOOT_PAGE + boot_gdtr - boot16), boot32
	.code32
boot32:
	load_data
	mov $image_load, %esi
	mov $image_start, %edi
	mov $image_longs, %ecx
	cld
	rep movsl
	mov $bss_start, %edi
	mov $bss_longs, %ecx
	xor %eax, %eax
	rep stosl
	mov $start32, %eax
	jmp *%eax

	.balign 8
boot_gdt:
	descriptors
boot_gdtr:
	.word 4 * 8 - 1
	.long boot_gdt

	.section .reset, "ax"
	.code16
	.globl reset
reset:
	jmp boot16
	.balign 16

/* ---- what runs at 1 MiB */

	.text
	.code32
start32:
	lgdt gdtr
	/* All of the first 4 GiB at their own addresses, in pages of 2 MiB. */
	movl $page_pointers + 3, page_map
	mov $page_directories + 3, %eax
	mov $page_pointers, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $4096, %eax
	add $8, %edi
	loop 1b
	mov $0x83, %eax
	mov $page_directories, %edi
	mov $2048, %ecx
2:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 2b
	enter_long start64

	.code64
start64:
	load_data
	mov $boot_stack_end, %esp
	xor %ebp, %ebp
	call guest_main
	ud2

	.balign 8
gdt:
	descriptors
	.globl gdtr
gdtr:
	.word 4 * 8 - 1
	.long gdt

/* ---- what an added vCPU runs, copied to AP_PAGE */

	.globl ap_boot, ap_boot_end
	.code16
ap_boot:
	enter_protected (ap_gdtr - ap_boot), (AP_PAGE + ap_boot32 - ap_boot)
	.code32
ap_boot32:
	load_data
	enter_long ap_start64
	.balign 8
ap_gdt:
	descriptors
ap_gdtr:
	.word 4 * 8 - 1
	.long AP_PAGE + ap_gdt - ap_boot
ap_boot_end:

	.code64
ap_start64:
	load_data
	mov $APIC_ID, %eax
	mov (%rax), %eax
	shr $24, %eax
	mov ap_stacks(, %rax, 8), %rsp
	xor %ebp, %ebp
	call ap_main
	ud2

/* ---- interrupts: one that only wakes, one of the timer, and whatever else is the guest's end */

	.macro save_and_call function
	push %rax
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	cld
	call \function
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rax
	iretq
	.endm

	.globl on_wake, on_timer, on_fault
on_wake:
	save_and_call apic_end_interrupt
on_timer:
	save_and_call apic_on_timer
on_fault:
	mov %rsp, %rdi
	and $~15, %rsp
	call guest_fault
	ud2

	.bss
	.balign 4096
page_map:
	.space 4096
page_pointers:
	.space 4096
page_directories:
	.space 4 * 4096
	.balign 16
	.space 32768
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
