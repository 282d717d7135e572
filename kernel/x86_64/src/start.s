# From the emulator's PVH entry (32-bit protected mode, paging off, ebx = start info) to `kernel_main` in long mode.
# The tables made here map the first 4 GiB three times: where they are (until we have jumped), at the direct map, and
# the kernel's image at -2 GiB. `kernel_space.rs` replaces them by exact ones. AT&T syntax, for the far jump.

.section .note.pvh, "a", @note
.balign 4
.long 4                         # bytes of name
.long 8                         # bytes of contents
.long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.quad pvh_start

.section .boot, "ax", @progbits
.code32
.globl pvh_start
pvh_start:
    cli
    cld
    movl $(bss_start - {base}), %edi
    movl $(bss_end - {base}), %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb

    # Four page directories of 2 MiB pages: present, writable, large.
    movl $(boot_directories - {base}), %edi
    movl $0x83, %eax
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 1b

    # The directories' table; its entries 510 and 511 serve the kernel's image.
    movl $(boot_pointers - {base}), %edi
    movl $(boot_directories - {base} + 3), %eax
    movl %eax, 0(%edi)
    movl %eax, 510*8(%edi)
    addl $0x1000, %eax
    movl %eax, 8(%edi)
    addl $0x1000, %eax
    movl %eax, 16(%edi)
    addl $0x1000, %eax
    movl %eax, 24(%edi)

    movl $(boot_root - {base}), %edi
    movl $(boot_pointers - {base} + 3), %eax
    movl %eax, 0(%edi)
    movl %eax, 256*8(%edi)
    movl %eax, 511*8(%edi)
    movl %edi, %cr3

    movl $0x6a0, %eax           # PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $0xc0000080, %ecx      # EFER: SCE, LME, NXE
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80050033, %eax      # PG, AM, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $boot_long

.code64
boot_long:
    .cfi_startproc
    .cfi_undefined rip
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movabsq $kernel_stack_top, %rsp
    xorl %ebp, %ebp
    movl %ebx, %edi
    movabsq $kernel_main, %rax
    call *%rax
2:  hlt
    jmp 2b
    .cfi_endproc

.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 64-bit code
boot_gdt_pointer:
    .word 15
    .long boot_gdt

.section .bss.boot_tables, "aw", @nobits
.balign 4096
boot_root: .skip 4096
boot_pointers: .skip 4096
boot_directories: .skip 4 * 4096
