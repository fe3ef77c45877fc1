/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Modules with one defect each: what damage.c makes of plain.ko and patch.ko, in which step of its life the module is
 * refused, and the status. The bootloader and the example loaders read this table.
 */
#ifndef DEFECTS_H
#define DEFECTS_H

enum base { PLAIN, PATCH };
enum step { READ, PLACE, EARLY, COMING };

/* DEFECT(name, base, step, status without RELAKIT_) */
#define DEFECTS \
    DEFECT(empty, PLAIN, READ, ERR_EMPTY_FILE) \
    DEFECT(not_elf, PLAIN, READ, ERR_NOT_ELF) \
    DEFECT(class_32, PLAIN, READ, ERR_BAD_IDENT) \
    DEFECT(executable, PLAIN, READ, ERR_NOT_RELOCATABLE) \
    DEFECT(wrong_machine, PLAIN, READ, ERR_WRONG_MACHINE) \
    DEFECT(header_size, PLAIN, READ, ERR_BAD_HEADER_SIZE) \
    DEFECT(truncated_header, PLAIN, READ, ERR_TRUNCATED) \
    DEFECT(truncated_sections, PLAIN, READ, ERR_TRUNCATED) \
    DEFECT(section_outside, PLAIN, READ, ERR_TRUNCATED) \
    DEFECT(name_table, PLAIN, READ, ERR_BAD_NAME_TABLE) \
    DEFECT(section_name, PLAIN, READ, ERR_BAD_SECTION_NAME) \
    DEFECT(no_symbol_table, PLAIN, EARLY, ERR_SYMBOL_INDEX) \
    DEFECT(string_table, PLAIN, READ, ERR_BAD_STRING_TABLE) \
    DEFECT(symbol_name_outside, PLAIN, READ, ERR_BAD_SYMBOL_NAME) \
    DEFECT(shared_tables, PLAIN, READ, ERR_RELOCATIONS_TOO_LARGE) \
    DEFECT(too_large, PLAIN, PLACE, ERR_NOT_ASSIGNED) \
    DEFECT(alignment, PLAIN, PLACE, ERR_BAD_ALIGNMENT) \
    DEFECT(symbol_section, PLAIN, EARLY, ERR_SYMBOL_SECTION) \
    DEFECT(common_symbol, PLAIN, EARLY, ERR_COMMON_SYMBOL) \
    DEFECT(unknown_symbol, PLAIN, EARLY, ERR_UNKNOWN_SYMBOL) \
    DEFECT(target_section, PLAIN, EARLY, ERR_TARGET_OUT_OF_RANGE) \
    DEFECT(rel_section, PLAIN, EARLY, ERR_REL_SECTION) \
    DEFECT(bad_symbol_index, PLAIN, EARLY, ERR_SYMBOL_INDEX) \
    DEFECT(unknown_type, PLAIN, EARLY, ERR_UNKNOWN_TYPE) \
    DEFECT(offset_outside, PLAIN, EARLY, ERR_OFFSET_OUTSIDE) \
    DEFECT(offset_last_byte, PLAIN, EARLY, ERR_OFFSET_OUTSIDE) \
    DEFECT(overflow_pc32, PLAIN, EARLY, ERR_OVERFLOW) \
    DEFECT(overflow_32, PLAIN, EARLY, ERR_OVERFLOW) \
    DEFECT(overflow_32s, PLAIN, EARLY, ERR_OVERFLOW) \
    DEFECT(non_zero, PLAIN, EARLY, ERR_TARGET_NOT_ZERO) \
    DEFECT(data_non_zero, PLAIN, EARLY, ERR_TARGET_NOT_ZERO) \
    DEFECT(klp_section_name, PATCH, EARLY, ERR_BAD_KLP_SECTION_NAME) \
    DEFECT(klp_target_table, PATCH, EARLY, ERR_TARGET_IS_RELOCATIONS) \
    DEFECT(klp_symbol_name, PATCH, EARLY, ERR_BAD_KLP_SYMBOL_NAME) \
    DEFECT(klp_ordinary_symbol, PATCH, EARLY, ERR_NOT_KLP_SYMBOL) \
    DEFECT(klp_unknown, PATCH, EARLY, ERR_KLP_NOT_FOUND) \
    DEFECT(klp_ambiguous, PATCH, EARLY, ERR_KLP_AMBIGUOUS) \
    DEFECT(klp_position, PATCH, EARLY, ERR_KLP_SYMPOS) \
    DEFECT(late_section_name, PATCH, COMING, ERR_BAD_KLP_SECTION_NAME) \
    DEFECT(late_symbol_name, PATCH, COMING, ERR_BAD_KLP_SYMBOL_NAME) \
    DEFECT(late_kernel_symbol, PATCH, COMING, ERR_VMLINUX_FROM_MODULE) \
    DEFECT(late_unknown, PATCH, COMING, ERR_KLP_NOT_FOUND) \
    DEFECT(late_ambiguous, PATCH, COMING, ERR_KLP_AMBIGUOUS) \
    DEFECT(late_position, PATCH, COMING, ERR_KLP_SYMPOS) \
    DEFECT(late_not_alloc, PATCH, COMING, ERR_LATE_NOT_ALLOCATED) \
    DEFECT(late_target_section, PATCH, COMING, ERR_TARGET_OUT_OF_RANGE) \
    DEFECT(late_target_in_file, PATCH, COMING, ERR_TARGET_NOT_ALLOCATED) \
    DEFECT(late_target_symbols, PATCH, COMING, ERR_TARGET_IS_SYMBOL_TABLE) \
    DEFECT(late_target_table, PATCH, COMING, ERR_TARGET_IS_RELOCATIONS) \
    DEFECT(late_target_itself, PATCH, COMING, ERR_TARGET_IS_RELOCATIONS) \
    DEFECT(late_unknown_type, PATCH, COMING, ERR_UNKNOWN_TYPE) \
    DEFECT(late_offset_outside, PATCH, COMING, ERR_OFFSET_OUTSIDE) \
    DEFECT(late_overflow, PATCH, COMING, ERR_OVERFLOW) \
    DEFECT(late_non_zero, PATCH, COMING, ERR_TARGET_NOT_ZERO)

#endif
