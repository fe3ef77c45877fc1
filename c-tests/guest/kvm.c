/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One virtual processor of KVM, in 64 bits from its first instruction. It is paused whenever it is not in kvm_call, so that
 * the hooks may write. They write the memory that it executes; kernel_enter begins with an instruction that serialises.
 */
#include "vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CR0_LONG_MODE 0x80010031u /* paging, write protection, numeric errors, extension type, protection */
#define CR4_PAE 0x20u
#define EFER_LONG_MODE 0xd00u /* long mode, enabled and active; no-execute */
#define TSS_ADDRESS 0xfffbd000ul /* three pages that Intel's processors want and the guest does not have */

static int kvm = -1, machine = -1, processor = -1;
static struct kvm_run *shared;
static size_t shared_size;

void kvm_close(void)
{
    if (shared)
        munmap(shared, shared_size);
    if (processor >= 0)
        close(processor);
    if (machine >= 0)
        close(machine);
    if (kvm >= 0)
        close(kvm);
    kvm = machine = processor = -1;
    shared = NULL;
}

const char *kvm_missing(void)
{
    const char *why = NULL;

    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        return errno == ENOENT ? "there is no /dev/kvm" : strerror(errno);
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        why = "/dev/kvm is of another version";
    else if ((machine = ioctl(kvm, KVM_CREATE_VM, 0)) < 0)
        why = "/dev/kvm makes no machine";
    kvm_close();
    return why;
}

static int kvm_open(const struct guest *guest)
{
    struct kvm_userspace_memory_region memory;
    int size;
    void *map;

    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    machine = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (machine < 0 || ioctl(machine, KVM_SET_TSS_ADDR, TSS_ADDRESS) != 0)
        return -1;
    memset(&memory, 0, sizeof memory);
    memory.guest_phys_addr = guest->base;
    memory.memory_size = guest->size;
    memory.userspace_addr = (uint64_t)(uintptr_t)guest->bytes;
    if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &memory) != 0)
        return -1;
    processor = ioctl(machine, KVM_CREATE_VCPU, 0);
    size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (processor < 0 || size < (int)sizeof *shared)
        return -1;
    shared_size = (size_t)size;
    map = mmap(NULL, shared_size, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
    if (map == MAP_FAILED)
        return -1;
    shared = map;
    return 0;
}

static struct kvm_segment segment(uint16_t selector, int is_code)
{
    struct kvm_segment segment;

    memset(&segment, 0, sizeof segment);
    segment.limit = 0xffffffff;
    segment.selector = selector;
    segment.type = is_code ? 11 : 3; /* accessed; code: readable; data: writable */
    segment.present = segment.s = segment.g = 1;
    segment.l = is_code != 0;
    segment.db = !is_code;
    return segment;
}

static int set_registers(const struct guest *guest, const struct vcpu_call *call)
{
    struct kvm_sregs special;
    struct kvm_regs registers;

    if (ioctl(processor, KVM_GET_SREGS, &special) != 0)
        return -1;
    special.cr0 = CR0_LONG_MODE;
    special.cr3 = guest->root;
    special.cr4 = CR4_PAE;
    special.efer = EFER_LONG_MODE;
    special.cs = segment(8, 1);
    special.ds = special.es = special.fs = special.gs = special.ss = segment(16, 0);
    special.idt.limit = special.gdt.limit = 0; /* an exception cannot be delivered: the processor shuts down */
    memset(&registers, 0, sizeof registers);
    registers.rip = call->enter;
    registers.rsp = call->stack;
    registers.rdi = call->function;
    registers.rsi = (uint32_t)call->argument;
    registers.rdx = guest->root;
    registers.rflags = 2;
    return ioctl(processor, KVM_SET_SREGS, &special) != 0 || ioctl(processor, KVM_SET_REGS, &registers) != 0 ? -1 : 0;
}

static enum vcpu_end broken(const char *what, unsigned number)
{
    printf("KVM: %s (%u)\n", what, number);
    kvm_close();
    return VCPU_BROKEN;
}

/* The machine lives from one call to the next, until it dies. */
enum vcpu_end kvm_call(const struct guest *guest, const struct vcpu_call *call, int *result)
{
    uint32_t value = 0;
    unsigned bytes = 0;

    if ((!shared && kvm_open(guest) != 0) || set_registers(guest, call) != 0)
        return broken(strerror(errno), (unsigned)errno);
    for (;;) {
        if (ioctl(processor, KVM_RUN, 0) != 0) {
            if (errno == EINTR)
                continue;
            return broken(strerror(errno), (unsigned)errno);
        }
        if (shared->exit_reason == KVM_EXIT_SHUTDOWN) {
            kvm_close();
            return VCPU_DIED;
        }
        if (shared->exit_reason != KVM_EXIT_IO || shared->io.direction != KVM_EXIT_IO_OUT || shared->io.size != 1 ||
            shared->io.count != 1)
            return broken("an exit that the guest has no reason for", shared->exit_reason);
        if (shared->io.port == PORT_RESULT && bytes < 4)
            value |= (uint32_t)((const unsigned char *)shared)[shared->io.data_offset] << 8 * bytes++;
        else if (shared->io.port == PORT_END && bytes == 4)
            break;
        else
            return broken("an unexpected write to a port", shared->io.port);
    }
    memcpy(result, &value, sizeof value);
    return VCPU_RETURNED;
}
