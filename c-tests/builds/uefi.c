/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A UEFI application: prints to the debug console of QEMU, and ends the machine with its result. */
#include "calls.h"

static void port_write(uint16_t port, uint8_t byte)
{
    __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}

static void print(const char *text)
{
    for (; *text != 0; text++)
        port_write(0xe9, (uint8_t)*text);
}

uint64_t efi_main(void *image, void *system_table);
uint64_t efi_main(void *image, void *system_table)
{
    (void)image, (void)system_table;
    /* QEMU ends with twice this number plus 1. */
    port_write(0xf4, (uint8_t)(calls_run("uefi", print) == 0 ? 16 : 17));
    return 0;
}
