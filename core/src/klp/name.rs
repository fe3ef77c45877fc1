//! The grammars of livepatch section names and symbol names, as Linux's `sscanf` reads them (Linux
//! semantics 1 and 15).

use crate::abi::{KLP_RELA_PREFIX, KLP_SYM_PREFIX, OBJECT_NAME_MAX};
use crate::profile::Profile;
use crate::read::position;

/// `.klp.rela.<object>[<anything>]`: the name of a livepatch relocation section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelaName<'n> {
    /// Name of the object: 1 to 55 bytes without a dot. A longer name is cut to 55 bytes.
    pub object: &'n [u8],
    /// The text after the object. By convention it is a dot and the name of the target section.
    /// Linux ignores it.
    pub rest: &'n [u8],
}

impl<'n> RelaName<'n> {
    /// Parses `name`. Returns `None` if Linux reports it as incorrectly formatted.
    pub fn parse(name: &'n [u8]) -> Option<Self> {
        let (object, rest) = object(name.strip_prefix(KLP_RELA_PREFIX)?)?;
        Some(Self { object, rest })
    }

    /// Returns the name of the target section if the name follows the convention.
    pub fn section(&self) -> Option<&'n [u8]> {
        self.rest.strip_prefix(b".").filter(|section| !section.is_empty())
    }

    /// Returns whether the object's name was cut.
    pub fn is_cut(&self) -> bool {
        !matches!(self.rest.first(), None | Some(b'.'))
    }

    /// Writes `.klp.rela.<object>.<section>` to `out`, and returns the written bytes.
    ///
    /// Returns `None` if [`parse`](Self::parse) could not return this object and this section, if a
    /// name has a NUL, or if `out` is too short. `out` may then have a part of the name. The name has
    /// 11 bytes more than its parts.
    pub fn write<'o>(object: &[u8], section: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
        let is_valid = is_object(object) && is_text(section);
        let mut name = Writer::new(out);
        name.put(KLP_RELA_PREFIX)?;
        name.put(object)?;
        name.put(b".")?;
        name.put(section)?;
        name.finish().filter(|_| is_valid)
    }
}

/// `.klp.sym.<object>.<name>,<sympos>`: the name of a livepatch symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SymName<'n> {
    /// Name of the object: 1 to 55 bytes without a dot.
    pub object: &'n [u8],
    /// 1 to [`Profile::symbol_name_max`] bytes, none of them a comma.
    pub name: &'n [u8],
    /// 0 if the name must be unique in its object, or N for the N-th symbol of the name, counted
    /// from 1.
    pub sympos: u64,
    /// The text after the sympos. Linux ignores it.
    pub rest: &'n [u8],
}

impl<'n> SymName<'n> {
    /// Parses `name`. Returns `None` if Linux reports it as incorrectly formatted.
    pub fn parse(name: &'n [u8], profile: &Profile) -> Option<Self> {
        let (object, rest) = object(name.strip_prefix(KLP_SYM_PREFIX)?)?;
        let rest = rest.strip_prefix(b".")?;
        let (name, rest) = up_to(b',', profile.symbol_name_max, rest)?;
        let (sympos, rest) = sympos(rest.strip_prefix(b",")?, profile.sympos_saturates)?;
        Some(Self { object, name, sympos, rest })
    }

    /// Writes `.klp.sym.<object>.<name>,<sympos>` to `out`, and returns the written bytes.
    ///
    /// Returns `None` if [`parse`](Self::parse) with this profile could not return these parts, if a
    /// name has a NUL, or if `out` is too short. `out` may then have a part of the name. The name has
    /// 12 to 31 bytes more than `object` and `name`.
    pub fn write<'o>(
        object: &[u8],
        name: &[u8],
        sympos: u64,
        profile: &Profile,
        out: &'o mut [u8],
    ) -> Option<&'o [u8]> {
        let is_valid = is_object(object)
            && is_text(name)
            && name.len() <= profile.symbol_name_max
            && !name.contains(&b',');
        let mut text = Writer::new(out);
        text.put(KLP_SYM_PREFIX)?;
        text.put(object)?;
        text.put(b".")?;
        text.put(name)?;
        text.put(b",")?;
        text.put_decimal(sympos)?;
        text.finish().filter(|_| is_valid)
    }
}

/// A text that a string table can have.
fn is_text(text: &[u8]) -> bool {
    !text.is_empty() && !text.contains(&0)
}

/// What `%55[^.]` reads as a whole.
fn is_object(name: &[u8]) -> bool {
    is_text(name) && name.len() <= OBJECT_NAME_MAX && !name.contains(&b'.')
}

/// Writes a name part by part.
struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl<'o> Writer<'o> {
    const fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    fn put(&mut self, part: &[u8]) -> Option<()> {
        let end = self.len.checked_add(part.len())?;
        let free = self.out.get_mut(self.len..end)?;
        free.iter_mut().zip(part).for_each(|(free, byte)| *free = *byte);
        self.len = end;
        Some(())
    }

    fn put_decimal(&mut self, mut value: u64) -> Option<()> {
        let mut digits = [b'0'; MAX_DIGITS];
        let mut count = 1usize;
        for (used, digit) in (1..).zip(digits.iter_mut().rev()) {
            *digit = b'0'.wrapping_add(u8::try_from(value % 10).unwrap_or(0));
            value /= 10;
            count = used;
            if value == 0 {
                break;
            }
        }
        self.put(digits.get(MAX_DIGITS.checked_sub(count)?..)?)
    }

    fn finish(self) -> Option<&'o [u8]> {
        self.out.get(..self.len)
    }
}

/// The decimal digits of the largest `u64`.
const MAX_DIGITS: usize = 20;

/// `%55[^.]`
fn object(text: &[u8]) -> Option<(&[u8], &[u8])> {
    up_to(b'.', OBJECT_NAME_MAX, text)
}

/// `%<most>[^<stop>]`: at least one byte, at most `most`, none of them `stop`.
fn up_to(stop: u8, most: usize, text: &[u8]) -> Option<(&[u8], &[u8])> {
    let longest = text.get(..most).unwrap_or(text);
    let end = position(longest, stop).unwrap_or(longest.len());
    text.split_at_checked(end).filter(|(taken, _)| !taken.is_empty())
}

/// `%lu`: white space, then at least one decimal digit.
fn sympos(text: &[u8], saturates: bool) -> Option<(u64, &[u8])> {
    // Linux's ctype counts the no-break space of Latin-1.
    let digits = text.iter().position(|byte| !matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0))?;
    let text = text.get(digits..)?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let mut value = 0u64;
    let mut overflow = false;
    for digit in digits {
        let digit = u64::from(digit.wrapping_sub(b'0'));
        overflow |= value.checked_mul(10).and_then(|value| value.checked_add(digit)).is_none();
        value = value.wrapping_mul(10).wrapping_add(digit);
    }
    Some((if overflow && saturates { u64::MAX } else { value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Names near the limits, of bytes that mean something in the grammar and of others.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![Just(b'.'), Just(b','), Just(0), Just(b'7'), Just(b' '), Just(b'x'), any::<u8>()];
        let plain = |most: usize| vec(b'a'..=b'z', 0..=most);
        prop_oneof![vec(byte, 0..8), plain(8), plain(60), plain(600)]
    }

    fn position() -> impl Strategy<Value = u64> {
        prop_oneof![0..12u64, any::<u64>(), Just(u64::MAX)]
    }

    fn profile() -> impl Strategy<Value = Profile> {
        prop_oneof![Just(Profile::LINUX_5_8), Just(Profile::LINUX_6_12), Just(Profile::LINUX_7_3)]
    }

    proptest! {
        #[test]
        fn a_written_symbol_name_is_parsed_as_its_parts(
            (object, name, sympos, profile) in (name(), name(), position(), profile()),
        ) {
            let mut out = [0xff; 2000];
            let by_hand = [b".klp.sym.", &*object, b".", &name, b",", sympos.to_string().as_bytes()].concat();
            let parsed = SymName::parse(&by_hand, &profile);
            let is_parsed = parsed == Some(SymName { object: &object, name: &name, sympos, rest: b"" });
            let written = SymName::write(&object, &name, sympos, &profile, &mut out);
            prop_assert_eq!(written, (is_parsed && !by_hand.contains(&0)).then_some(&*by_hand));
        }

        #[test]
        fn a_written_section_name_is_parsed_as_its_parts((object, section) in (name(), name())) {
            let mut out = [0xff; 2000];
            let by_hand = [b".klp.rela.", &*object, b".", &section].concat();
            let is_parsed = RelaName::parse(&by_hand).is_some_and(|parsed| {
                parsed.object == object && parsed.section() == Some(&*section)
            });
            let written = RelaName::write(&object, &section, &mut out);
            prop_assert_eq!(written, (is_parsed && !by_hand.contains(&0)).then_some(&*by_hand));
        }

        #[test]
        fn a_buffer_must_have_room_for_the_whole_name(sympos in position()) {
            let whole = format!(".klp.sym.m.f,{sympos}");
            for room in 0..=whole.len().saturating_add(1) {
                let mut out = vec![0; room];
                let written = SymName::write(b"m", b"f", sympos, &Profile::LINUX_6_12, &mut out);
                prop_assert_eq!(written, (room >= whole.len()).then_some(whole.as_bytes()));
            }
            for room in 0..16 {
                let mut out = vec![0; room];
                let written = RelaName::write(b"m", b".t", &mut out);
                prop_assert_eq!(written, (room >= 14).then_some(&b".klp.rela.m..t"[..]));
            }
        }
    }

    fn object_of(name: &str) -> Option<(&str, bool)> {
        RelaName::parse(name.as_bytes()).map(|name| (str::from_utf8(name.object).unwrap(), name.is_cut()))
    }

    #[test]
    fn section_names_are_read_as_sscanf_reads_them() {
        let long = "o".repeat(56);
        for (name, object) in [
            (".klp.rela.vmlinux..text", Some(("vmlinux", false))),
            (".klp.rela.vmlinux", Some(("vmlinux", false))),
            (".klp.rela.vmlinux.", Some(("vmlinux", false))),
            (".klp.rela.a.b", Some(("a", false))),
            (".klp.rela.a b/\u{e9}.x", Some(("a b/\u{e9}", false))),
            (".klp.rela.", None),
            (".klp.rela", None),
            (".klp.rela..text", None),
            (".klp.rel.vmlinux..text", None),
            ("x.klp.rela.vmlinux..text", None),
            ("", None),
            (&format!(".klp.rela.{}", &long[..55]), Some((&long[..55], false))),
            (&format!(".klp.rela.{}..text", &long[..55]), Some((&long[..55], false))),
            (&format!(".klp.rela.{long}..text"), Some((&long[..55], true))),
            (&format!(".klp.rela.{long}"), Some((&long[..55], true))),
        ] {
            assert_eq!(object_of(name), object, "{name}");
        }
    }

    #[test]
    fn the_section_part_is_what_follows_the_second_dot() {
        let section = |name: &'static str| RelaName::parse(name.as_bytes()).unwrap().section();
        assert_eq!(section(".klp.rela.vmlinux..text"), Some(&b".text"[..]));
        assert_eq!(section(".klp.rela.vmlinux.__jump_table"), Some(&b"__jump_table"[..]));
        assert_eq!(section(".klp.rela.vmlinux."), None);
        assert_eq!(section(".klp.rela.vmlinux"), None);
    }

    #[test]
    fn symbol_names_are_read_as_sscanf_reads_them() {
        let (o55, o56) = ("o".repeat(55), "o".repeat(56));
        let (s127, s128, s511, s512) = ("s".repeat(127), "s".repeat(128), "s".repeat(511), "s".repeat(512));
        let parse = |name: &str, profile: &Profile| {
            SymName::parse(name.as_bytes(), profile).map(|symbol| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (text(symbol.object), text(symbol.name), symbol.sympos)
            })
        };
        let is = |object: &str, name: &str, position| Some((object.to_owned(), name.to_owned(), position));
        for (name, expected) in [
            (".klp.sym.vmlinux.a,0".to_owned(), is("vmlinux", "a", 0)),
            (".klp.sym.zfs.ko.x,0".to_owned(), is("zfs", "ko.x", 0)),
            (".klp.sym.m.foo.isra.0,12".to_owned(), is("m", "foo.isra.0", 12)),
            (".klp.sym.m..a,0".to_owned(), is("m", ".a", 0)),
            (".klp.sym.m. a,0".to_owned(), is("m", " a", 0)),
            (".klp.sym.m.a,007".to_owned(), is("m", "a", 7)),
            (".klp.sym.m.a,1xyz".to_owned(), is("m", "a", 1)),
            (".klp.sym.m.a,0x1".to_owned(), is("m", "a", 0)),
            (".klp.sym.m.a,0,1".to_owned(), is("m", "a", 0)),
            (".klp.sym.m.a, \t\n3".to_owned(), is("m", "a", 3)),
            (".klp.sym.m.a,18446744073709551615".to_owned(), is("m", "a", u64::MAX)),
            (".klp.sym.m.a,18446744073709551618".to_owned(), is("m", "a", 2)),
            (".klp.sym.m.a,".to_owned(), None),
            (".klp.sym.m.a, ".to_owned(), None),
            (".klp.sym.m.a,-1".to_owned(), None),
            (".klp.sym.m.a,+1".to_owned(), None),
            (".klp.sym.m.a,x".to_owned(), None),
            (".klp.sym.m.a".to_owned(), None),
            (".klp.sym.m.,0".to_owned(), None),
            (".klp.sym..a,0".to_owned(), None),
            (".klp.sym.m,0".to_owned(), None),
            (".klp.sym.m".to_owned(), None),
            (".klp.sym.".to_owned(), None),
            (".klp.symm.a,0".to_owned(), None),
            (format!(".klp.sym.{o55}.a,0"), is(&o55, "a", 0)),
            (format!(".klp.sym.{o56}.a,0"), None),
            (format!(".klp.sym.m.{s511},0"), is("m", &s511, 0)),
            (format!(".klp.sym.m.{s512},0"), None),
        ] {
            assert_eq!(parse(&name, &Profile::LINUX_6_12), expected, "{name}");
        }
        assert_eq!(parse(&format!(".klp.sym.m.{s127},0"), &Profile::LINUX_5_8), is("m", &s127, 0));
        assert_eq!(parse(&format!(".klp.sym.m.{s128},0"), &Profile::LINUX_5_8), None);
        assert_eq!(parse(&format!(".klp.sym.m.{s128},0"), &Profile::LINUX_6_1), is("m", &s128, 0));
        for (digits, position) in [
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("18446744073709551618", u64::MAX),
            ("99999999999999999999999", u64::MAX),
        ] {
            let name = format!(".klp.sym.m.a,{digits}");
            assert_eq!(parse(&name, &Profile::LINUX_7_3), is("m", "a", position), "{name}");
        }
    }

    #[test]
    fn a_byte_that_is_no_space_ends_the_search_for_a_position() {
        let position = |byte: u8| {
            let name = [&b".klp.sym.m.a,"[..], &[byte], b"5"].concat();
            SymName::parse(&name, &Profile::LINUX_6_12).map(|symbol| symbol.sympos)
        };
        for byte in 0..=u8::MAX {
            let space = matches!(byte, 9..=13 | 32 | 160);
            let expected = match byte {
                _ if space => Some(5),
                b'0'..=b'9' => Some(u64::from(byte - b'0') * 10 + 5),
                _ => None,
            };
            assert_eq!(position(byte), expected, "{byte:#x}");
        }
    }
}
