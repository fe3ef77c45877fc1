/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A livepatch for the module `target`. It uses what nobody exports: of the host, which plays vmlinux, and of the target.
 * KLP says whose symbol a name stands for: the only one (0), or the n-th of that name. klp-convert does the rest.
 */
#define KLP(object, name, position) __asm__(".klp.sym." #object "." #name "." #position)

extern int host_add(int n);
extern int host_secret(int n) KLP(vmlinux, host_secret, 0);
extern int host_scale(int n) KLP(vmlinux, host_scale, 2);
extern int host_verbose KLP(vmlinux, host_verbose, 0);
extern int target_step(int n) KLP(target, step, 2);
extern int target_count KLP(target, target_count, 0);

/* Stands in for a special section, __jump_table and the like: the host reads it when the module is loaded. */
__attribute__((section(".host_keys"), used)) int *host_keys[] = { &host_verbose };

/* NULL until the target comes, and again when it has gone. */
int *volatile patch_counter = &target_count;

/* Can be called as soon as the patch is loaded. */
int patch_early(int n)
{
    return host_secret(n) + host_scale(n);
}

/* Can be called while the target is there: replaces its target_submit(). */
int patch_submit(int n)
{
    *patch_counter += 1000;
    return host_add(target_step(n)) + host_secret(n);
}
