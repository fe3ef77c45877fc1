/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program without libc and without the compiler's headers: it starts at _start and makes system calls itself. */
#include "calls.h"

static long system_call(long number, long a, const void *b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void print(const char *text)
{
    long length = 0;
    while (text[length] != 0)
        length++;
    system_call(1, 1, text, length); /* write */
}

__attribute__((used)) static void start(void)
{
    system_call(60, calls_run("nostdinc", print), NULL, 0); /* exit */
}

void _start(void);
__asm__(".globl _start\n_start: xor %ebp, %ebp\n and $-16, %rsp\n call start\n");
