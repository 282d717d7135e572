//! [`program!`]: everything that must stand in the binary itself rather than in this library, so that the library can
//! also be linked into tests of the host (which bring their own start-up, memory functions and panics).

/// Makes `fn main(arguments: Vec<String>) -> i32` the program: entry point, heap, panic handler, and the memory
/// functions that compiled code expects to find.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[global_allocator]
        static HEAP: $crate::heap::Heap = $crate::heap::Heap;

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::start::panicked(info)
        }

        // SAFETY: the name is the one that the entry stub calls; nothing else has it.
        #[unsafe(no_mangle)]
        extern "C" fn flob_start(info: u64) -> ! {
            $crate::start::run(info, $main)
        }

        // The entry: rdi has the start info, rsp the stack's end; the outermost frame says that nothing called it.
        core::arch::global_asm!(
            ".section .text._start,\"ax\",@progbits",
            ".globl _start",
            ".type _start,@function",
            "_start:",
            ".cfi_startproc",
            ".cfi_undefined rip",
            "xor ebp, ebp",
            "and rsp, -16",
            "call flob_start",
            "ud2",
            ".cfi_endproc",
            ".size _start, . - _start",
            // Eight bytes at a time and a tail.
            ".section .text.flob_memory,\"ax\",@progbits",
            ".globl memcpy",
            ".type memcpy,@function",
            "memcpy:",
            ".cfi_startproc",
            "mov rax, rdi",
            "mov rcx, rdx",
            "shr rcx, 3",
            "rep movsq",
            "mov ecx, edx",
            "and ecx, 7",
            "rep movsb",
            "ret",
            ".cfi_endproc",
            ".size memcpy, . - memcpy",
            ".globl memmove",
            ".type memmove,@function",
            "memmove:",
            ".cfi_startproc",
            "mov rax, rdi",
            "sub rax, rsi",
            "cmp rax, rdx",
            "jae memcpy",
            // The destination begins inside the source: backwards, the tail first.
            "mov rax, rdi",
            "lea rsi, [rsi + rdx - 1]",
            "lea rdi, [rdi + rdx - 1]",
            "std",
            "mov rcx, rdx",
            "and ecx, 7",
            "rep movsb",
            "sub rsi, 7",
            "sub rdi, 7",
            "mov rcx, rdx",
            "shr rcx, 3",
            "rep movsq",
            "cld",
            "ret",
            ".cfi_endproc",
            ".size memmove, . - memmove",
            ".globl memset",
            ".type memset,@function",
            "memset:",
            ".cfi_startproc",
            "mov r8, rdi",
            "movzx eax, sil",
            "mov r9, 0x0101010101010101",
            "imul rax, r9",
            "mov rcx, rdx",
            "shr rcx, 3",
            "rep stosq",
            "mov ecx, edx",
            "and ecx, 7",
            "rep stosb",
            "mov rax, r8",
            "ret",
            ".cfi_endproc",
            ".size memset, . - memset",
            ".globl memcmp",
            ".globl bcmp",
            ".type memcmp,@function",
            ".type bcmp,@function",
            "memcmp:",
            "bcmp:",
            ".cfi_startproc",
            "xor ecx, ecx",
            "2:",
            "cmp rcx, rdx",
            "je 3f",
            "movzx eax, byte ptr [rdi + rcx]",
            "movzx r8d, byte ptr [rsi + rcx]",
            "inc rcx",
            "sub eax, r8d",
            "je 2b",
            "ret",
            "3:",
            "xor eax, eax",
            "ret",
            ".cfi_endproc",
            ".size memcmp, . - memcmp",
            ".size bcmp, . - bcmp",
            ".globl strlen",
            ".type strlen,@function",
            "strlen:",
            ".cfi_startproc",
            "xor eax, eax",
            "4:",
            "cmp byte ptr [rdi + rax], 0",
            "je 5f",
            "inc rax",
            "jmp 4b",
            "5:",
            "ret",
            ".cfi_endproc",
            ".size strlen, . - strlen",
            // The target expects an unwinder; nothing ever unwinds here.
            ".globl rust_eh_personality",
            ".globl _Unwind_Resume",
            "rust_eh_personality:",
            "_Unwind_Resume:",
            "ud2",
            ".text",
        );
    };
}
