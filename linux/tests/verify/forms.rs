//! Every form of every kind of site.

use crate::site::*;
use relakit_linux::special::{Role, Version};
use relakit_linux::verify::{Cause, Policy};

const OLD: Version = (6, 1);
const NEW: Version = (6, 12);

fn case(
    what: &'static str,
    version: Version,
    role: Role,
    table: &'static str,
    entry: Vec<u8>,
    original: Vec<u8>,
    forms: Vec<Vec<u8>>,
) -> Case {
    Case { what, version, role, table, entry, original, replacement: vec![0xcc; 64], forms }
}

/// An entry that is the offset of the site.
fn entry() -> Vec<u8> {
    offset(table(), SITE).to_vec()
}

/// Sites that Linux rewrites while the module runs.
fn live() -> Vec<Case> {
    const NEAR: u64 = SITE + 0x1234;
    const SHORT: u64 = SITE + 0x20;
    let label = |to| [entry(), offset(table() + 4, to).to_vec(), vec![0; 8]].concat();
    let site = |flags: u64| [entry(), offset(table() + 4, FUNCTION + 0x100 + flags).to_vec()].concat();
    let nop = || vec![0x0f, 0x1f, 0x44, 0x00, 0x00];
    let call = |to| branch(&[0xe8], SITE, to);
    let jump = |to| branch(&[0xe9], SITE, to);
    let plain = || vec![0xc3, 0xcc, 0xcc, 0xcc, 0xcc];
    let zero = || vec![0x2e, 0x2e, 0x2e, 0x31, 0xc0];
    let condition = |to| branch(&[0x0f, 0x84], SITE, to);
    let mut cases = Vec::new();
    for version in [OLD, NEW] {
        let mut push = |what, role, table, entry, original, forms| {
            cases.push(case(what, version, role, table, entry, original, forms));
        };
        let labels = "__jump_table";
        push("near label", Role::JumpLabel, labels, label(NEAR), nop(), vec![jump(NEAR)]);
        push("near jump", Role::JumpLabel, labels, label(NEAR), jump(NEAR), vec![nop()]);
        push("short label", Role::JumpLabel, labels, label(SHORT), vec![0x66, 0x90], vec![vec![0xeb, 0x1e]]);
        push("short jump", Role::JumpLabel, labels, label(SHORT), vec![0xeb, 0x1e], vec![vec![0x66, 0x90]]);
        let calls = ".static_call_sites";
        push(
            "static call",
            Role::StaticCall,
            calls,
            site(0),
            call(SITE + 0x5000),
            vec![call(FUNCTION), nop(), zero()],
        );
        let tails = vec![jump(FUNCTION), plain(), jump(RETURN_THUNK), jump(SRSO_THUNK)];
        push("static tail call", Role::StaticCall, calls, site(1), jump(SITE + 0x5000), tails.clone());
        let conditions = vec![
            condition(FUNCTION),
            condition(STATIC_RETURN),
            condition(RETURN_THUNK),
            condition(SRSO_THUNK),
        ];
        push("conditional tail call", Role::StaticCall, calls, site(1), condition(SITE + 0x5000), conditions);
        let traced = (SITE).to_le_bytes().to_vec();
        push("traced", Role::Trace, "__mcount_loc", traced, call(SITE + 0x5000), vec![nop(), call(TRACER)]);
        push("lock", Role::Lock, ".smp_locks", entry(), vec![0xf0], vec![vec![0x3e]]);
    }
    cases
}

/// Sites that Linux rewrites while it loads the module.
fn loading() -> Vec<Case> {
    let thunk = |register: u64| THUNKS + 0x20 * register;
    let its = |register: u64| ITS_THUNKS + 0x20 * register;
    let mut cases = Vec::new();
    for version in [OLD, NEW] {
        let mut push = |what, role, table, original, forms: Vec<Vec<u8>>| {
            cases.push(case(what, version, role, table, entry(), original, forms));
        };
        let returns = vec![vec![0xc3, 0xcc, 0xcc, 0xcc, 0xcc], branch(&[0xe9], SITE, SRSO_THUNK)];
        push("return", Role::Return, ".return_sites", branch(&[0xe9], SITE, RETURN_THUNK), returns);
        push(
            "ENDBR",
            Role::Endbr,
            ".ibt_endbr_seal",
            vec![0xf3, 0x0f, 0x1e, 0xfa],
            vec![vec![0x66, 0x0f, 0x1f, 0x00]],
        );
        let retpolines = ".retpoline_sites";
        let forms = vec![
            vec![0xff, 0xd0, 0x0f, 0x1f, 0x00],
            vec![0x0f, 0xae, 0xe8, 0xff, 0xd0],
            branch(&[0xe8], SITE, its(0)),
        ];
        push("call *%rax", Role::Retpoline, retpolines, branch(&[0xe8], SITE, thunk(0)), forms);
        let forms = vec![
            vec![0x41, 0xff, 0xd3, 0x0f, 0x1f, 0x00],
            vec![0x0f, 0xae, 0xe8, 0x41, 0xff, 0xd3],
            branch(&[0x2e, 0xe8], SITE, its(11)),
        ];
        push("cs call *%r11", Role::Retpoline, retpolines, branch(&[0x2e, 0xe8], SITE, thunk(11)), forms);
        let forms = vec![
            vec![0xff, 0xe1, 0xcc, 0x66, 0x90],
            vec![0x0f, 0xae, 0xe8, 0xff, 0xe1],
            branch(&[0xe9], SITE, its(1)),
        ];
        push("jmp *%rcx", Role::Retpoline, retpolines, branch(&[0xe9], SITE, thunk(1)), forms);
        let forms = vec![vec![0x75, 0x04, 0x41, 0xff, 0xe3, 0xcc], branch(&[0x0f, 0x84], SITE, its(11))];
        push("je *%r11", Role::Retpoline, retpolines, branch(&[0x0f, 0x84], SITE, thunk(11)), forms);
    }
    cases.push(case(
        "late ENDBR",
        (6, 15),
        Role::Endbr,
        ".ibt_endbr_seal",
        entry(),
        vec![0xf3, 0x0f, 0x1e, 0xfa],
        vec![vec![0x0f, 0x1f, 0x40, 0xd6]],
    ));
    let padded: [(_, Vec<u8>, Vec<Vec<u8>>); 4] = [
        (
            "padded call *%rax",
            branch(&[0xe8], SITE, thunk(0)),
            vec![
                vec![0x2e, 0x2e, 0x2e, 0xff, 0xd0],
                vec![0x0f, 0xae, 0xe8, 0xff, 0xd0],
                branch(&[0xe8], SITE, its(0)),
            ],
        ),
        (
            "padded cs call *%r11",
            branch(&[0x2e, 0xe8], SITE, thunk(11)),
            vec![
                vec![0x2e, 0x2e, 0x2e, 0x41, 0xff, 0xd3],
                vec![0x0f, 0xae, 0xe8, 0x41, 0xff, 0xd3],
                branch(&[0x2e, 0xe8], SITE, its(11)),
            ],
        ),
        (
            "padded jmp *%rcx",
            branch(&[0xe9], SITE, thunk(1)),
            vec![
                vec![0xff, 0xe1, 0xcc, 0xcc, 0xcc],
                vec![0x0f, 0xae, 0xe8, 0xff, 0xe1],
                branch(&[0xe9], SITE, its(1)),
            ],
        ),
        (
            "padded je *%r11",
            branch(&[0x0f, 0x84], SITE, thunk(11)),
            vec![vec![0x75, 0x04, 0x41, 0xff, 0xe3, 0xcc], branch(&[0x0f, 0x84], SITE, its(11))],
        ),
    ];
    for (what, original, forms) in padded {
        cases.push(case(what, (7, 3), Role::Retpoline, ".retpoline_sites", entry(), original, forms));
    }
    let paravirt = [&SITE.to_le_bytes()[..], &[0, 7, 0, 0, 0, 0, 0, 0]].concat();
    let forms = vec![
        [&branch(&[0xe8], SITE, FUNCTION)[..], &[0x66, 0x90]].concat(),
        vec![0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    ];
    let original = vec![0xff, 0x14, 0x25, 0x10, 0x20, 0x30, 0x82];
    cases.push(case("paravirt", OLD, Role::Paravirt, ".parainstructions", paravirt, original, forms));
    cases
}

/// An entry of `.altinstructions`.
fn alternative(version: Version, flags: u32, size: u8, replacement: u64, replacement_size: u8) -> Vec<u8> {
    let pointers = [offset(table(), SITE), offset(table() + 4, replacement)].concat();
    let sizes = [size, replacement_size];
    match version {
        OLD => [&pointers[..], &[0x12, 0x01], &sizes].concat(),
        _ => [&pointers[..], &flags.to_le_bytes(), &sizes].concat(),
    }
}

fn alternatives() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |what, version, size: u8, original: Vec<u8>, replacement: Vec<u8>, forms: Vec<Vec<u8>>| {
        let entry = alternative(version, 0x12, size, REPLACEMENT, u8::try_from(replacement.len()).unwrap());
        let case = case(what, version, Role::Alternative, ".altinstructions", entry, original, forms);
        let replacement = if replacement.is_empty() { vec![0xcc] } else { replacement };
        cases.push(Case { replacement, ..case });
    };
    let five = || vec![0x90; 5];
    let nop = || vec![0x0f, 0x1f, 0x44, 0x00, 0x00];
    for version in [OLD, NEW] {
        push(
            "nothing",
            version,
            5,
            five(),
            vec![0x0f, 0x01, 0xcb],
            vec![nop(), vec![0x0f, 0x01, 0xcb, 0x66, 0x90]],
        );
        push("removed", version, 5, vec![0x48, 0x89, 0xc0, 0x89, 0xc0], vec![], vec![nop()]);
        let call = branch(&[0xe8], REPLACEMENT, FUNCTION);
        push(
            "call",
            version,
            5,
            branch(&[0xe8], SITE, FUNCTION + 64),
            call,
            vec![branch(&[0xe8], SITE, FUNCTION)],
        );
        let jump = branch(&[0xe9], REPLACEMENT, SITE - 0x1000);
        push("jump", version, 5, five(), jump, vec![nop(), branch(&[0xe9], SITE, SITE - 0x1000)]);
    }
    let short = || branch(&[0xe9], REPLACEMENT, SITE + 0x40);
    push("short jump", OLD, 5, five(), short(), vec![nop(), vec![0xeb, 0x3e, 0x0f, 0x1f, 0x00]]);
    push("short jump", NEW, 5, five(), short(), vec![nop(), vec![0xeb, 0x3e, 0xcc, 0xcc, 0xcc]]);
    let back = || branch(&[0xe9], REPLACEMENT, SITE - 0x20);
    push("jump back", OLD, 5, five(), back(), vec![nop(), branch(&[0xe9], SITE, SITE - 0x20)]);
    push("jump back", NEW, 5, five(), back(), vec![nop(), vec![0xeb, 0xde, 0xcc, 0xcc, 0xcc]]);
    // mov 0x1000(%rip),%rax; jne to the kernel; jmp to the end.
    let inner = |here: u64| {
        let load = branch(&[0x48, 0x8b, 0x05], here, SITE + 0x1000);
        let jump = branch(&[0x0f, 0x85], here + 7, FUNCTION);
        [&load[..], &jump, &[0xeb, 0x00]].concat()
    };
    let joined = || vec![0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    let original = [vec![0x50], vec![0x90; 15]].concat();
    let untouched = [vec![0x50, 0xeb, 0x0d], vec![0xcc; 13]].concat();
    push(
        "fields",
        NEW,
        16,
        original,
        inner(REPLACEMENT),
        vec![untouched, [inner(SITE), vec![0x90]].concat()],
    );
    push(
        "ten",
        NEW,
        11,
        [vec![0x50], vec![0x90; 10]].concat(),
        vec![0x50; 11],
        vec![[vec![0x50], joined()].concat(), vec![0x50; 11]],
    );
    // FILL_RETURN_BUFFER of KVM: the original jumps over its padding.
    let skip = [vec![0xeb, 0x0e], vec![0x90; 14]].concat();
    let joined = |end: &[u8]| [&[0xeb, 0x0e], end].concat();
    let apart = joined(&[&[0xeb, 0x0c][..], &[0xcc; 12]].concat());
    let together = joined(&[0xcc; 14]);
    push("skipped padding", NEW, 16, skip.clone(), vec![0x50; 16], vec![apart.clone(), vec![0x50; 16]]);
    push("skipped padding", (6, 6), 16, skip, vec![0x50; 16], vec![apart, together, vec![0x50; 16]]);
    cases
}

/// An indirect call that becomes a direct one.
fn direct_call() -> Case {
    let entry = alternative(NEW, 0x0002_0012, 6, REPLACEMENT, 5);
    let original = vec![0xff, 0x15, 0x10, 0x20, 0x30, 0x02];
    let forms = vec![
        [branch(&[0xe8], SITE, FUNCTION), vec![0x90]].concat(),
        vec![0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    ];
    let case = case("direct call", NEW, Role::Alternative, ".altinstructions", entry, original, forms);
    Case { replacement: branch(&[0xe8], REPLACEMENT, FUNCTION + 0x800), ..case }
}

fn all() -> Vec<Case> {
    [live(), loading(), alternatives(), vec![direct_call()]].into_iter().flatten().collect()
}

/// A tracer in another place: the tables of the module are constants, which must not change.
fn name(case: &Case) -> String {
    format!("{} in {:?}", case.what, case.version)
}

#[test]
fn every_form_of_every_site_is_accepted_and_counted() {
    for case in all() {
        let size = case.original.len() as u64;
        for (code, rewritten) in
            std::iter::once((&case.original, 0)).chain(case.forms.iter().map(|form| (form, 1)))
        {
            let (verified, mismatches) = case.verify(code, Policy::KnownForms);
            assert_eq!(mismatches, [], "{}: {code:02x?}", name(&case));
            assert_eq!((verified.sites, verified.rewritten), (1, rewritten), "{}: {code:02x?}", name(&case));
            assert_eq!(verified.flexible, size, "{}", name(&case));
        }
    }
}

#[test]
fn every_changed_byte_of_a_form_is_a_mismatch_of_its_site() {
    for case in all() {
        let accepted = |code: &Vec<u8>| *code == case.original || case.forms.contains(code);
        for form in std::iter::once(&case.original).chain(&case.forms) {
            for at in 0..form.len() {
                for change in [0x01, 0x02, 0x10, 0x80, 0xff, form[at] ^ 0xcc, form[at] ^ 0x90] {
                    let mut code = form.clone();
                    code[at] ^= change;
                    if change == 0 || accepted(&code) {
                        continue;
                    }
                    let (verified, mismatches) = case.verify(&code, Policy::KnownForms);
                    let cause = Cause::PatchSite { role: case.role, section: 2, entry: 0 };
                    let causes: Vec<_> = mismatches.iter().map(|mismatch| mismatch.cause).collect();
                    assert_eq!(causes, [cause], "{}: {code:02x?}", name(&case));
                    assert_eq!(verified.mismatches, 1);
                    let difference = mismatches[0].difference;
                    assert_eq!((difference.section, difference.address), (TEXT, SITE));
                    assert_eq!(difference.found.as_slice(), code);
                    assert_eq!(difference.expected.as_slice(), case.original);
                }
            }
        }
    }
}

#[test]
fn a_policy_decides_whether_forms_are_accepted() {
    for case in all() {
        let garbage: Vec<u8> = case.original.iter().map(|byte| byte ^ 0x5a).collect();
        for form in &case.forms {
            let (verified, mismatches) = case.verify(form, Policy::Untouched);
            assert_eq!((mismatches.len(), verified.flexible), (1, 0), "{}: {form:02x?}", name(&case));
        }
        let (verified, mismatches) = case.verify(&case.original, Policy::Untouched);
        assert_eq!((mismatches.len(), verified.sites), (0, 1), "{}", name(&case));
        let (verified, mismatches) = case.verify(&garbage, Policy::Anything);
        assert_eq!((mismatches.len(), verified.anything), (0, 1), "{}", name(&case));
        assert_eq!(case.verify(&garbage, Policy::KnownForms).1.len(), 1, "{}", name(&case));
    }
}

#[test]
fn a_stable_kernel_rewrites_the_returns_and_retpolines_that_its_module_lists() {
    let backported =
        |case: &Case| case.version == OLD && [Role::Return, Role::Retpoline].contains(&case.role);
    for case in loading().into_iter().filter(backported) {
        let case = Case { version: (5, 15), ..case };
        for form in &case.forms {
            let (verified, mismatches) = case.verify(form, Policy::KnownForms);
            assert_eq!(mismatches, [], "{}: {form:02x?}", name(&case));
            assert_eq!((verified.sites, verified.rewritten), (1, 1), "{}", name(&case));
        }
        let garbage: Vec<u8> = case.original.iter().map(|byte| byte ^ 0x5a).collect();
        assert_eq!(case.verify(&garbage, Policy::KnownForms).1.len(), 1, "{}", name(&case));
    }
}

#[test]
fn a_form_of_another_version_is_a_mismatch() {
    let short = alternatives();
    let jumps: Vec<_> = short.iter().filter(|case| case.what == "short jump").collect();
    let [old, new] = jumps[..] else { panic!("two versions") };
    assert_eq!(old.verify(&new.forms[1], Policy::KnownForms).1.len(), 1);
    assert_eq!(new.verify(&old.forms[1], Policy::KnownForms).1.len(), 1);
}

/// Linux's three steps from one form to another.
fn steps(from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let stopped = [&[0xcc], &from[1..]].concat();
    let prepared = [&[0xcc], &to[1..]].concat();
    let mut steps = vec![(from.to_vec(), SITE, vec![0xcc])];
    if to.len() > 1 {
        steps.push((stopped, SITE + 1, to[1..].to_vec()));
    }
    steps.push((prepared, SITE, vec![to[0]]));
    steps
}

#[test]
fn each_step_of_a_patch_is_allowed_and_so_is_a_whole_form() {
    for case in live() {
        let forms: Vec<_> = std::iter::once(&case.original).chain(&case.forms).collect();
        for (from, to) in forms.iter().flat_map(|from| forms.iter().map(move |to| (from, to))) {
            for (code, at, bytes) in
                steps(from, to).into_iter().chain([((*from).clone(), SITE, (*to).clone())])
            {
                let site = case.allows(&code, at, &bytes, Policy::KnownForms);
                let site = site.unwrap_or_else(|| panic!("{}: {code:02x?} {at:x} {bytes:02x?}", name(&case)));
                assert_eq!((site.address, site.role, site.entry), (SITE, case.role, 0));
                assert_eq!(case.allows(&code, at, &bytes, Policy::Untouched), None);
                assert!(case.allows(&code, at, &bytes, Policy::Anything).is_some());
            }
        }
    }
}

#[test]
fn a_write_that_leads_to_no_form_is_not_allowed() {
    for case in live() {
        for form in &case.forms {
            for (code, at, bytes) in
                steps(&case.original, form).into_iter().chain([(case.original.clone(), SITE, form.clone())])
            {
                for changed in 0..bytes.len() {
                    let mut bytes = bytes.clone();
                    bytes[changed] ^= 0x41;
                    let allowed = case.allows(&code, at, &bytes, Policy::KnownForms);
                    assert_eq!(allowed, None, "{}: {code:02x?} {at:x} {bytes:02x?}", name(&case));
                }
            }
        }
        let code = &case.original;
        // A breakpoint inside of the instruction, and one in code that has no form.
        for at in SITE + 1..SITE + code.len() as u64 {
            assert_eq!(case.allows(code, at, &[0xcc], Policy::KnownForms), None, "{} {at:x}", name(&case));
        }
        let garbage: Vec<u8> = code.iter().map(|byte| byte ^ 0x5a).collect();
        assert_eq!(case.allows(&garbage, SITE, &[0xcc], Policy::KnownForms), None, "{}", name(&case));
        for (at, bytes) in
            [(SITE - 1, &[0xcc][..]), (SITE + code.len() as u64, &[0xcc]), (SITE - 1, &[0x55, 0xcc])]
        {
            assert_eq!(case.allows(code, at, bytes, Policy::KnownForms), None, "{} {at:x}", name(&case));
            assert_eq!(case.allows(code, at, bytes, Policy::Anything), None, "{} {at:x}", name(&case));
        }
    }
}
