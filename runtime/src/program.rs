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
            // The target expects an unwinder; nothing ever unwinds here.
            ".globl rust_eh_personality",
            ".globl _Unwind_Resume",
            "rust_eh_personality:",
            "_Unwind_Resume:",
            "ud2",
            ".text",
        );
        $crate::memory_functions!("");
    };
}
