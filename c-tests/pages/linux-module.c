/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* docs/embedding/linux-module.md, with stand-ins for Linux. c-tests/kmod is such a module. */
#include "kernel.h"

#include "linux-module-page.h"

int main(void)
{
    const struct relakit_writer writer = { sizeof writer, 0, NULL, poke_read, poke_write, poke_sync };
    const struct relakit_target target = { NULL, TEXT_SIZE, near(0), &writer };
    const struct relakit_symbols symbols = { .symtab = symtab, .count = SYMBOLS };

    fresh_table();
    ACCEPTS(relakit_apply(table, sizeof table, &symbols, &target, NULL, fresh()));
    is_applied();
    EQ(pokes, 2);
    EQ(syncs, 1);
    fresh();
    fault.status = RELAKIT_ERR_WRITER;
    fault.value = (u64)-EFAULT;
    EQ(errno_of(&fault, ENOEXEC), -EFAULT);
    fault.status = RELAKIT_ERR_OVERFLOW;
    fault.linux_errno = 0;
    EQ(errno_of(&fault, ENOEXEC), -ENOEXEC);
    fault.linux_errno = EINVAL;
    EQ(errno_of(&fault, ENOEXEC), -EINVAL);
    return test_end("linux-module");
}
