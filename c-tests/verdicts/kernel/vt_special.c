// SPDX-License-Identifier: MIT OR Apache-2.0
/* A module with entries in as many special sections as possible. */
#include <linux/bug.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <asm/barrier.h>
#include <asm/cpufeature.h>
#include <asm/word-at-a-time.h>

int special_call(int n);
int special_add(int n);
int special_twice(int n);
int special_jump(int n);
int special_irq(int n);

static DEFINE_STATIC_KEY_FALSE(special_key);
static atomic_t special_atomic = ATOMIC_INIT(0);
static const unsigned long special_words[2] = { 1, 1 };
static int (*volatile special_pointer)(int n);

noinline int special_add(int n)
{
	return n + 1;
}

noinline int special_twice(int n)
{
	return n * 2;
}

DEFINE_STATIC_CALL(special_static, special_add);

noinline int special_jump(int n)
{
	if (static_branch_unlikely(&special_key))
		n++;
	return n;
}

noinline int special_irq(int n)
{
	unsigned long flags;

	local_irq_save(flags);
	n++;
	local_irq_restore(flags);
	return n;
}

noinline int special_call(int n)
{
	unsigned long value = load_unaligned_zeropad(special_words);

	WARN_ON(n == 77);
	atomic_inc(&special_atomic);
	mb();
	if (static_cpu_has(X86_FEATURE_ERMS))
		n++;
	n = static_call(special_static)(n);
	return special_pointer(special_jump(special_irq(n))) + (int)(value & 1);
}

static int __init begin(void)
{
	special_pointer = special_twice;
	special_call(1);
	static_call_update(special_static, special_twice);
	static_branch_enable(&special_key);
	special_call(2);
	return 0;
}

static void __exit end(void)
{
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module with special sections");
MODULE_LICENSE("GPL");
