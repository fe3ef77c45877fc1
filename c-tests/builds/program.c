/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program with a libc. The file is compiled for the libc's calling convention, whatever calls.c is compiled for. */
#include <stdio.h>

int __attribute__((PROGRAM_ABI)) calls_run(const char *name, void (__attribute__((PROGRAM_ABI)) *print)(const char *text));

static void __attribute__((PROGRAM_ABI)) print(const char *text)
{
    fputs(text, stdout);
}

int main(int count, char **arguments)
{
    return calls_run(count > 1 ? arguments[1] : "program", print);
}
