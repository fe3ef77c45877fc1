/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two processors that run a guest: KVM's, and QEMU's emulation (TCG). Both run it in the same memory. */
#ifndef VCPU_H
#define VCPU_H

#include "guest.h"
#include "start.h"

/* The guest's memory is in the middle of this file, at its guest-physical address, so that both can have it. */
#define RAM_FILE "ram"
#define RAM_SIZE UINT64_C(0x4000000)

struct vcpu_call {
    uint64_t enter;    /* kernel_enter: where the processor begins */
    uint64_t function; /* what it calls; all guest-virtual */
    uint64_t stack;
    int argument;
};

enum vcpu_end {
    VCPU_RETURNED, /* and *result is what the function did */
    VCPU_DIED,     /* an exception: the guest has nothing that would handle it */
    VCPU_BROKEN    /* the host's fault, which has been printed */
};

/* NULL when there is KVM, otherwise why there is none. */
const char *kvm_missing(void);
enum vcpu_end kvm_call(const struct guest *guest, const struct vcpu_call *call, int *result);
void kvm_close(void);

/* `ram` is RAM_FILE in memory, and the current folder has start.elf. */
enum vcpu_end tcg_call(const struct guest *guest, unsigned char *ram, const struct vcpu_call *call, int *result);

#endif
