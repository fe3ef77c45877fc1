//! The lines of /proc/kallsyms (or System.map) and of Module.symvers.

/// The object of a line without a module.
pub(super) const VMLINUX: &[u8] = b"vmlinux";

/// A line of kallsyms without its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) address: u64,
    pub(super) kind: u8,
}

/// A line of a Module.symvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symver {
    /// The version of the symbol, which Linux compares with that in `__versions`.
    pub(crate) crc: u32,
    /// The name of the module that exports the symbol, or "vmlinux".
    pub(crate) module: Box<[u8]>,
    /// Only modules with a licence compatible with the GPL can use the symbol.
    pub(crate) gpl: bool,
    /// The namespace that a module must import to use the symbol.
    pub(crate) namespace: Option<Box<[u8]>>,
}

impl Symbol {
    /// kallsyms lists a weak symbol as weak also if it is undefined, but then with address 0.
    pub(super) fn is_defined(&self) -> bool {
        match self.kind {
            b'u' | b'U' => false,
            b'w' | b'v' => self.address != 0,
            _ => true,
        }
    }
}

/// Whether this is a Module.symvers: it begins with a CRC (`0x` and eight digits) and a tab.
pub(super) fn is_symvers(text: &[u8]) -> bool {
    text.starts_with(b"0x") && text.get(10) == Some(&b'\t')
}

/// Parses `CRC name module export namespace` with tabs between them. The namespace can be missing.
pub(super) fn parse_symver(line: &[u8]) -> Option<(&[u8], Symver)> {
    let mut fields = line.split(|&byte| byte == b'\t');
    let (crc, name, path) = (fields.next()?, fields.next()?, fields.next()?);
    let crc = u32::from_str_radix(str::from_utf8(crc.strip_prefix(b"0x")?).ok()?, 16).ok()?;
    // Modules have the path of their file without .ko.
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let module = file.iter().map(|&byte| if byte == b'-' { b'_' } else { byte }).collect();
    // EXPORT_SYMBOL_GPL, and the older EXPORT_SYMBOL_GPL_FUTURE and EXPORT_UNUSED_SYMBOL_GPL.
    let gpl = fields.next()?.windows(4).any(|window| window == b"_GPL");
    let namespace = fields.next().filter(|name| !name.is_empty()).map(Box::from);
    (!name.is_empty()).then_some((name, Symver { crc, module, gpl, namespace }))
}

/// The package that a stub of Debian names. Debian installs it as System.map: one line with a
/// sentence in place of a name.
pub(super) fn stub(name: &[u8]) -> Option<&str> {
    let rest = str::from_utf8(name).ok()?.strip_prefix("The real System.map is in the ")?;
    rest.split(' ').next()
}

/// The package that a stub names, if the file is a stub.
pub(crate) fn package_of_stub(text: &[u8]) -> Option<String> {
    let line = text.split(|&byte| byte == b'\n').next()?;
    let (_, name, _) = parse(line.strip_suffix(b"\r").unwrap_or(line))?;
    stub(name).map(str::to_owned)
}

/// Whether this is an undefined symbol in a list of nm, which has no address: `U name`.
pub(super) fn is_undefined(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start(), [b'U' | b'w' | b'v', b' ', ..])
}

/// Parses `address type name`, optionally followed by a tab or blanks and `[module]`.
pub(super) fn parse(line: &[u8]) -> Option<(Symbol, &[u8], &[u8])> {
    let mut parts = line.trim_ascii_start().splitn(3, |&byte| byte == b' ');
    let (address, kind, rest) = (parts.next()?, parts.next()?, parts.next()?.trim_ascii_end());
    let address = u64::from_str_radix(str::from_utf8(address).ok()?, 16).ok()?;
    let &[kind] = kind else { return None };
    let module = rest.strip_suffix(b"]").and_then(|rest| {
        let open = rest.iter().rposition(|&byte| byte == b'[')?;
        let (name, module) = rest.split_at_checked(open)?;
        let name_end = name.trim_ascii_end();
        (name_end.len() < name.len()).then_some((name_end, module.strip_prefix(b"[")?))
    });
    let (name, object) = module.unwrap_or((rest, VMLINUX));
    (!name.is_empty()).then_some((Symbol { address, kind }, name, object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_kallsyms_writes_them() {
        let parts = |line: &'static str| {
            parse(line.as_bytes()).map(|(symbol, name, object)| {
                (symbol.address, symbol.kind, str::from_utf8(name).unwrap(), str::from_utf8(object).unwrap())
            })
        };
        assert_eq!(
            parts("ffffffff81000000 T _text"),
            Some((0xffff_ffff_8100_0000, b'T', "_text", "vmlinux"))
        );
        assert_eq!(parts("0000000000039000 a v\t[m]"), Some((0x39000, b'a', "v", "m")));
        assert_eq!(parts("1 ? .klp.sym.m.f,0\t[k]"), Some((1, b'?', ".klp.sym.m.f,0", "k")));
        assert_eq!(parts("1 t a b\t[k]"), Some((1, b't', "a b", "k")));
        assert_eq!(parts("1 t f[2]"), Some((1, b't', "f[2]", "vmlinux")));
        for bad in ["", "1", "1 t", "1 t ", "x t f", "1 tt f", "g0 t f", "10000000000000000 t f"] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }
}
