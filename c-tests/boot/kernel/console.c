/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Words for a person on the first serial port, and a number for the program that has started QEMU. */
#include "kernel.h"

#include <stdarg.h>

#define COM1 0x3f8
#define LINE_CONTROL (COM1 + 3)
#define LINE_STATUS (COM1 + 5)
#define CAN_SEND 0x20
#define DEBUG_EXIT 0xf4 /* -device isa-debug-exit,iobase=0xf4,iosize=4: v ends QEMU with status v * 2 + 1 */

enum verdict { PASSED = 16, FAILED = 17 }; /* 33 and 35, which QEMU never ends with by itself */

static unsigned checks, failures;

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

_Noreturn static void leave(enum verdict verdict)
{
    __asm__ volatile("outl %0, %1" : : "a"((uint32_t)verdict), "Nd"((uint16_t)DEBUG_EXIT));
    for (;;)
        __asm__ volatile("hlt");
}

void console_open(void)
{
    out8(LINE_CONTROL, 0x80); /* the next two are the divisor: 115200 baud */
    out8(COM1, 1);
    out8(COM1 + 1, 0);
    out8(LINE_CONTROL, 3); /* 8 bits, no parity */
}

static void put(char c)
{
    while (!(in8(LINE_STATUS) & CAN_SEND))
        ;
    out8(COM1, (uint8_t)c);
}

static void put_string(const char *string)
{
    while (*string)
        put(*string++);
}

static void put_number(uint64_t number, unsigned base)
{
    char digits[21];
    size_t at = sizeof digits - 1;

    digits[at] = 0;
    do
        digits[--at] = "0123456789abcdef"[number % base];
    while (number /= base);
    put_string(digits + at);
}

static void put_signed(int64_t number)
{
    if (number < 0)
        put('-');
    put_number(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10);
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's': put_string(va_arg(arguments, const char *)); break;
        case 'd': put_signed(va_arg(arguments, int)); break;
        case 'l': put_number(va_arg(arguments, unsigned long), *++format == 'x' ? 16 : 10); break;
        default: panic("a format that print does not know");
        }
    }
    va_end(arguments);
}

void verdict(bool holds)
{
    checks++;
    if (!holds)
        failures++;
    print("%s: ", holds ? "ok" : "FAILED");
}

void check(bool holds, const char *what)
{
    verdict(holds);
    print("%s\n", what);
}

void finish(void)
{
    print("boot: %d checks, %d failures\n", (int)checks, (int)failures);
    leave(checks != 0 && failures == 0 ? PASSED : FAILED);
}

void panic(const char *why)
{
    print("PANIC: %s\n", why);
    leave(FAILED);
}
