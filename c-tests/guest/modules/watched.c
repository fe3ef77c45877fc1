/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module that the hypervisor verifies while it runs, and an attacker in the guest's kernel, who changes it. */
extern int kernel_add(int n);
extern int kernel_other(int n);

/* A call that can be redirected. Its code is written by hand, so that the attacker knows where the field is. */
__asm__(".pushsection .text\n"
        ".globl watched_call, watched_field\n"
        "watched_call:\n"
        "    subq $8, %rsp\n"
        "    .byte 0xe8\n"
        "watched_field:\n"
        "    .long kernel_add - . - 4\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".popsection\n");
extern int watched_call(int n);
extern unsigned char watched_field[];

/* A constant that is an address. */
typedef int operation(int n);
operation *const watched_operation = kernel_add;

int watched_constant(int n)
{
    return (*(operation *const volatile *)&watched_operation)(n);
}

/* A jump label, with its entry of __jump_table: the code, the target and the key, each relative to its own address. */
static long key;

__attribute__((noinline)) int watched_branch(int n)
{
    __asm__ goto(".globl watched_label, watched_label_target\n"
                 "watched_label: .byte 0x0f, 0x1f, 0x44, 0, 0\n"
                 ".set watched_label_target, %l[on]\n"
                 ".pushsection __jump_table, \"aw\"\n"
                 ".balign 8\n"
                 ".long watched_label - ., %l[on] - .\n"
                 ".quad %c0 - .\n"
                 ".popsection\n" : : "i"(&key) : : on);
    return n;
on:
    return n + 5000;
}
extern unsigned char watched_label[], watched_label_target[];

/* What an attacker in the guest's kernel can do: it switches off the write protection, and writes. */
static unsigned char *changed, original[8];
static int changed_size;

static void exchange(unsigned char *at, const unsigned char *bytes, int size, unsigned char *old)
{
    unsigned long control;

    __asm__ volatile("mov %%cr0, %0" : "=r"(control));
    __asm__ volatile("mov %0, %%cr0" : : "r"(control & ~0x10000ul) : "memory");
    for (int i = 0; i < size; i++) {
        if (old)
            old[i] = at[i];
        *(volatile unsigned char *)(at + i) = bytes[i];
    }
    __asm__ volatile("mov %0, %%cr0" : : "r"(control) : "memory");
}

static void change(unsigned char *at, const void *bytes, int size)
{
    exchange(at, (const unsigned char *)bytes, size, original);
    changed = at;
    changed_size = size;
}

static void jump(unsigned char *at, unsigned long to)
{
    unsigned long distance = to - ((unsigned long)at + 5);
    unsigned char code[5] = { 0xe9 };

    for (int i = 0; i < 4; i++)
        code[1 + i] = (unsigned char)(distance >> 8 * i);
    change(at, code, 5);
}

static void redirect_call(void)
{
    unsigned int distance = (unsigned int)((unsigned long)kernel_other - ((unsigned long)watched_field + 4));

    change(watched_field, &distance, 4);
}

static void redirect_constant(void)
{
    operation *other = kernel_other;

    change((unsigned char *)(unsigned long)&watched_operation, &other, 8);
}

int watched_attack(int which)
{
    static const unsigned char breakpoint = 0xcc;

    switch (which) {
    case 0: exchange(changed, original, changed_size, (unsigned char *)0); break; /* takes the last change back */
    case 1: redirect_call(); break;
    case 2: redirect_constant(); break;
    case 3: change((unsigned char *)(unsigned long)watched_call, &breakpoint, 1); break;
    case 4: jump(watched_label, (unsigned long)watched_label_target); break; /* what a kernel does if the key is true */
    case 5: jump(watched_label, (unsigned long)watched_call); break;
    }
    return which;
}
