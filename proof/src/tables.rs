//! What relakit knows as tables: errors, rules, types, profiles and special sections.

use core::hint::black_box;
use relakit::reloc::{self, RelocFlags};
use relakit::text::{self, texts};
use relakit::{Error, ErrorKind, Profile, Reason, arch};
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::loader_check::LoaderCheck;
use relakit_linux::special;

/// Numbers to look up.
pub struct Wanted<'a> {
    error: Error,
    loader_rule: LoaderCheck,
    reason: Reason,
    name: &'a [u8],
    rules: RelocFlags,
    version: (u16, u16),
    at: usize,
    number: u32,
    values: [u64; 3],
}

#[unsafe(no_mangle)]
extern "C" fn proof_tables(wanted: &Wanted<'_>) {
    errors(wanted);
    lints(wanted);
    texts(wanted);
    types(wanted);
    profiles(wanted);
}

fn texts(wanted: &Wanted<'_>) {
    let texts = texts!("a", "b");
    black_box((texts.get(wanted.at), texts.c_str(wanted.at)));
    // The compiler calls these for each table.
    let block = text::block(texts.get(wanted.at));
    black_box((text::count(block), text::starts::<2>(block)));
}

fn errors(wanted: &Wanted<'_>) {
    black_box(wanted.error.in_section(wanted.number));
    for kind in [wanted.error.kind].iter().chain(ErrorKind::ALL.get(wanted.at)) {
        black_box((
            kind.text(),
            kind.message(),
            kind.field_names(),
            kind.field_c_names(),
            Error::new(*kind, 1, 2).numbers().last(),
        ));
        black_box((kind.is_of_callback(), Profile::linux_errno(*kind)));
    }
    black_box(ErrorKind::from_number(wanted.number.cast_signed()));
    black_box((wanted.reason.text(), wanted.reason.message()));
}

fn lints(wanted: &Wanted<'_>) {
    black_box(Lint::from_number(wanted.number.cast_signed()));
    if let Some(rule) = Lint::ALL.get(wanted.at) {
        black_box((rule.name(), rule.c_name(), rule.message(), rule.help(), rule.severity().name()));
        black_box((
            rule.field_names(),
            rule.field_c_names(),
            rule.other_c_name(),
            Finding::new(*rule).numbers().last(),
        ));
    }
    let rule = wanted.loader_rule;
    black_box((rule.message(), rule.phase(), rule.errno(), rule.since(), LoaderCheck::ALL.get(wanted.at)));
}

fn types(wanted: &Wanted<'_>) {
    #[cfg(not(feature = "control"))]
    black_box(arch::type_name(wanted.number));

    black_box(arch::type_c_name(wanted.number));
    black_box((arch::short_type_name(wanted.number), arch::section_type_name(wanted.number)));
    black_box((arch::is_none(wanted.number), arch::is_pointer(wanted.number)));
    black_box(arch::needs_got(wanted.number));
    let [s, a, p] = wanted.values;
    if let Some(howto) = reloc::howto(wanted.number, wanted.rules) {
        let value = howto.value(s, a.cast_signed(), p);
        black_box((value, howto.fits(value, wanted.rules), howto.largest(wanted.rules), howto.mask()));
    }
}

fn profiles(wanted: &Wanted<'_>) {
    let (major, minor) = wanted.version;
    let profile = Profile::for_linux(major, minor).copied().unwrap_or_else(Profile::default);
    black_box(Profile::linux_reloc_flags(major, minor));
    black_box((profile.errno(wanted.error.kind), profile.dropped(), profile.with_dropped(&[])));
    black_box((profile.reloc_flags(), profile.with_flags(wanted.rules), wanted.loader_rule.is_of(&profile)));
    if let Some(special) = special::by_name(wanted.name) {
        black_box(relakit_linux::memories(wanted.version));
        black_box((special.is_read_by(wanted.version), special.first_read(wanted.version)));
        black_box((special.entry_size(wanted.version), special.takes_late(wanted.version)));
    }
}
