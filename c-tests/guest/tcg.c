/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * QEMU with its emulated processor: a machine for each call, that begins in start.S with the guest's memory as the last one
 * left it. QEMU maps the file that we have mapped, so both write the same memory.
 */
#include "vcpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MOST_SECONDS "60" /* until it counts as hanging */

/* Who kills us kills QEMU, too. The RAM is RAM_FILE; what the firmware leaves at both of its ends is far from the guest. */
static const char command[] = "timeout --foreground " MOST_SECONDS " qemu-system-x86_64 -accel tcg -m 64"
                              " -machine pc,memory-backend=ram"
                              " -object memory-backend-file,id=ram,size=64M,mem-path=" RAM_FILE ",share=on"
                              " -nodefaults -no-user-config -no-reboot -display none -debugcon stdio"
                              " -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel start.elf </dev/null";

static void parameter(unsigned char *ram, unsigned which, uint64_t value)
{
    memcpy(ram + START_PARAMETERS + which, &value, sizeof value);
}

enum vcpu_end tcg_call(const struct guest *guest, unsigned char *ram, const struct vcpu_call *call, int *result)
{
    unsigned char output[256];
    uint32_t value;
    size_t size;
    int status;
    FILE *qemu;

    parameter(ram, START_ROOT, guest->root);
    parameter(ram, START_ENTER, call->enter);
    parameter(ram, START_FUNCTION, call->function);
    parameter(ram, START_STACK, call->stack);
    parameter(ram, START_ARGUMENT, (uint32_t)call->argument);
    fflush(stdout);
    qemu = popen(command, "r");
    if (!qemu) {
        perror("QEMU");
        return VCPU_BROKEN;
    }
    size = fread(output, 1, sizeof output, qemu);
    status = pclose(qemu);
    status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    /* isa-debug-exit makes a status of each value; a machine that resets itself ends QEMU with 0. */
    if (status % 2 == 1 && size == sizeof value) {
        memcpy(&value, output, sizeof value);
        memcpy(result, &value, sizeof value);
        return VCPU_RETURNED;
    }
    if (status == 0 && size == 0)
        return VCPU_DIED;
    printf("QEMU: exit status %d, %zu bytes of output\n", status, size);
    return VCPU_BROKEN;
}
