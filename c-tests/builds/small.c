/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first code of an image that relocates itself: a flat binary that begins with start(), at whatever address it is. */
#include "small.h"

__attribute__((section(".text.start"))) relakit_status start(const struct small_call *call)
{
    return relakit_apply_small(call->rela, call->rela_size, call->values, call->count, call->bytes, call->size,
                               call->address, call->entry);
}
