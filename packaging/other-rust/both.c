/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two Rust libraries in one program. */
#include <relakit.h>
#include <string.h>

size_t other_rust(uint32_t number);

int main(void)
{
    return other_rust(12345) != 5 || strcmp(relakit_strerror(RELAKIT_ERR_NOT_ELF), "not an ELF file") != 0;
}
