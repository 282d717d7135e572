# The ways in from user mode and out to it. `current_context` points to the Context of the thread that runs; all
# registers go straight into it. Interrupts are off in here. Nothing is kept on the kernel's stack between entries.
# Intel syntax; names in braces are offsets in Context.

.section .text.entry, "ax", @progbits

# Loads the registers that functions may change, and leaves. rax points to the Context; rcx and r11 hold rip and the flags.
.macro leave_by_sysret
    mov rdx, [rax + {rdx}]
    mov rsi, [rax + {rsi}]
    mov rdi, [rax + {rdi}]
    mov r8, [rax + {r8}]
    mov r9, [rax + {r9}]
    mov r10, [rax + {r10}]
    mov rsp, [rax + {rsp}]
    mov rax, [rax + {rax}]
    sysretq
.endm

# `syscall`: rcx = address behind the instruction, r11 = flags, rsp still the user's.
.globl syscall_entry
.p2align 4
syscall_entry:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_undefined rip
    mov [rip + user_stack], rsp
    mov rsp, [rip + current_context]
    mov [rsp + {rax}], rax
    mov [rsp + {rbx}], rbx
    mov [rsp + {rcx}], rcx
    mov [rsp + {rdx}], rdx
    mov [rsp + {rsi}], rsi
    mov [rsp + {rdi}], rdi
    mov [rsp + {rbp}], rbp
    mov [rsp + {r8}], r8
    mov [rsp + {r9}], r9
    mov [rsp + {r10}], r10
    mov [rsp + {r11}], r11
    mov [rsp + {r12}], r12
    mov [rsp + {r13}], r13
    mov [rsp + {r14}], r14
    mov [rsp + {r15}], r15
    mov [rsp + {rflags}], r11
    sub rcx, 2                          # back at the instruction: a thread in a call stands there
    mov [rsp + {rip}], rcx
    # For the record of a panic: number, RIP, first argument, Context. The offset of a byte wraps by itself.
    movzx edx, byte ptr [rip + next_call]
    mov [last_calls + rdx], rax
    mov [last_calls + rdx + 8], rcx
    mov [last_calls + rdx + 16], rdi
    mov [last_calls + rdx + 24], rsp
    add byte ptr [rip + next_call], 32
    mov rax, [rip + user_stack]
    mov [rsp + {rsp}], rax
    fxsave64 [rsp]
    ldmxcsr [rip + kernel_mxcsr]
    lea rsp, [rip + kernel_stack_top]
    call on_call
    test al, al
    jz leave_call_to_user
    mov rax, [rip + current_context]

# The call is over: registers that functions keep for their callers are as they were, and the kernel has kept them. The others
# are loaded; rcx and r11 hold rip and the flags as ever.
    fxrstor64 [rax]
    mov rcx, [rax + {rip}]
    mov r11, [rax + {rflags}]
    leave_by_sysret
    .cfi_endproc

# Leaves to whoever is to run now.
.p2align 4
leave_call_to_user:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_undefined rip
    call leave_call

# Leaves to the thread whose Context rax points to; rsp is the top of the kernel's stack.
leave_to_user:
    fxrstor64 [rax]
    mov rcx, [rax + {rip}]
    mov r11, [rax + {rflags}]
    # `sysretq` puts rip into rcx and the flags into r11: right where they hold those anyway. Not while stepping, and
    # not with RF, which it would drop.
    cmp rcx, [rax + {rcx}]
    jne leave_by_iret
    cmp r11, [rax + {r11}]
    jne leave_by_iret
    test r11d, 0x10100
    jnz leave_by_iret
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov r12, [rax + {r12}]
    mov r13, [rax + {r13}]
    mov r14, [rax + {r14}]
    mov r15, [rax + {r15}]
    leave_by_sysret

leave_by_iret:
    push {user_data}
    push [rax + {rsp}]
    push r11
    push {user_code}
    push rcx
    mov rbx, [rax + {rbx}]
    mov rcx, [rax + {rcx}]
    mov rdx, [rax + {rdx}]
    mov rsi, [rax + {rsi}]
    mov rdi, [rax + {rdi}]
    mov rbp, [rax + {rbp}]
    mov r8, [rax + {r8}]
    mov r9, [rax + {r9}]
    mov r10, [rax + {r10}]
    mov r11, [rax + {r11}]
    mov r12, [rax + {r12}]
    mov r13, [rax + {r13}]
    mov r14, [rax + {r14}]
    mov r15, [rax + {r15}]
    mov rax, [rax + {rax}]
    iretq
    .cfi_endproc

# fn enter_user(context: *mut Context) -> !
.globl enter_user
enter_user:
    .cfi_startproc
    .cfi_undefined rip
    mov rax, rdi
    lea rsp, [rip + kernel_stack_top]
    jmp leave_to_user
    .cfi_endproc

# One stub of 16 bytes for each vector: pushes an error code where the processor does not, and the vector.
.globl vector_stubs
.p2align 4
vector_stubs:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_undefined rip
.set vector, 0
.rept {vectors}
    .p2align 4
    .if (vector != 8) && (vector != 10) && (vector != 11) && (vector != 12) && (vector != 13) && (vector != 14) && (vector != 17)
    push 0
    .endif
    push vector
    jmp trap_entry
    .set vector, vector + 1
.endr

# On the stack: vector, error code, rip, cs, flags, rsp, ss.
trap_entry:
    test byte ptr [rsp + 24], 3
    jz kernel_trap
    push rax
    mov rax, [rip + current_context]
    mov [rax + {rbx}], rbx
    mov [rax + {rcx}], rcx
    mov [rax + {rdx}], rdx
    mov [rax + {rsi}], rsi
    mov [rax + {rdi}], rdi
    mov [rax + {rbp}], rbp
    mov [rax + {r8}], r8
    mov [rax + {r9}], r9
    mov [rax + {r10}], r10
    mov [rax + {r11}], r11
    mov [rax + {r12}], r12
    mov [rax + {r13}], r13
    mov [rax + {r14}], r14
    mov [rax + {r15}], r15
    pop rbx
    mov [rax + {rax}], rbx
    pop rdi                             # vector
    pop rsi                             # error code
    mov rbx, [rsp]
    mov [rax + {rip}], rbx
    mov rbx, [rsp + 16]
    mov [rax + {rflags}], rbx
    mov rbx, [rsp + 24]
    mov [rax + {rsp}], rbx
    fxsave64 [rax]
    ldmxcsr [rip + kernel_mxcsr]
    cld
    lea rsp, [rip + kernel_stack_top]
    call on_trap
    jmp leave_to_user

# Three things come from ring 0 rightly: an interrupt while the kernel idles, and a debug exception at the first
# instruction of an entry (user code made it pending with `mov ss`). All else is a defect of the kernel.
kernel_trap:
    cmp qword ptr [rsp], 32
    jae idle_interrupt
    cmp qword ptr [rsp], 1
    je stray_debug
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    mov rdi, rsp
    cld
    and rsp, -16
    call on_kernel_trap
    ud2

# Notes the vector and goes back with interrupts off, so that exactly one is noted.
idle_interrupt:
    push rax
    mov rax, [rsp + 8]
    mov [rip + idle_vector], rax
    pop rax
    add rsp, 16
    and qword ptr [rsp + 16], -0x201
    iretq

stray_debug:
    push rax
    mov eax, 0xffff0ff0
    mov dr6, rax
    pop rax
    add rsp, 16
    iretq
    .cfi_endproc

# fn wait_for_interrupt() -> u64: the vector of the one interrupt that came.
.globl wait_for_interrupt
wait_for_interrupt:
    .cfi_startproc
    mov qword ptr [rip + idle_vector], 0
    sti
2:  hlt
    cmp qword ptr [rip + idle_vector], 0
    je 2b
    cli
    mov rax, [rip + idle_vector]
    ret
    .cfi_endproc

# fn take_interrupt() -> u64: the vector of an interrupt that is there already, or 0.
.globl take_interrupt
take_interrupt:
    .cfi_startproc
    mov qword ptr [rip + idle_vector], 0
    sti
    nop                                 # `sti` lets interrupts in behind the instruction that follows it
    cli
    mov rax, [rip + idle_vector]
    ret
    .cfi_endproc

.section .data.entry, "aw", @progbits
.p2align 3
user_stack: .quad 0
idle_vector: .quad 0
kernel_mxcsr: .long 0x1f80
.p2align 3
.globl last_calls
last_calls: .fill 32, 8, 0
.globl next_call
next_call: .byte 0
