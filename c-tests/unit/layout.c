/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The header's numbers, and the archive's. */

#include "layout.h"
#include "test.h"

int main(void)
{
    /* The archive says the same as the header. */
    EQ(relakit_abi(), RELAKIT_ABI);
    EQ(relakit_module_align(), RELAKIT_MODULE_ALIGN);
    CHECK(relakit_module_size() > 0);
    CHECK(relakit_module_size() <= RELAKIT_MODULE_SIZE);
    EQ(relakit_module_size() % RELAKIT_MODULE_ALIGN, 0);
    return test_end("layout");
}
