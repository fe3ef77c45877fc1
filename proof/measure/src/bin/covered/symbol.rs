//! The name of the function that a symbol stands for, without what differs from one instance to the next.

/// The self type of a function that a trait provides.
pub const PROVIDED: &str = "Self";
/// Any reference, slice and array. A generic impl for one of them has an instance for each element.
pub const REFERENCE: &str = "&";
pub const SLICE: &str = "[]";
pub const ARRAY: &str = "[; N]";

/// Names the function, or returns `None` for a closure, a shim or what is no Rust function.
///
/// `a::f::<u8>` is `a::f`, `<a::T<u8>>::f` is `<a::T>::f`, and `<a::T as core::iter::Iterator>::f` is
/// `<a::T as Iterator>::f`; paths of `krate` are whole, of others only the last part is used.
pub fn function(mangled: &str, krate: &str) -> Option<String> {
    let rest = mangled.strip_prefix("_R")?;
    // The functions of an impl are in namespace v, in an X; those that a trait provides in a Y.
    let is_provided = rest.trim_start_matches('I').starts_with("NvY");
    let name = format!("{:#}", rustc_demangle::try_demangle(mangled).ok()?);
    let name = without_arguments(&name);
    let Some(inside) = name.strip_prefix('<') else {
        return (!name.contains(['{', '<'])).then(|| name.to_owned());
    };
    let end = end_of(inside)?;
    let (owner, function) = (&inside[..end], inside[end + 1..].strip_prefix("::")?);
    if function.contains("::") || function.contains('{') {
        return None;
    }
    let Some((this, of)) = split_as(owner) else {
        return Some(format!("<{}>::{function}", short(owner, krate)));
    };
    let this = if is_provided { PROVIDED.to_owned() } else { short(this, krate) };
    Some(format!("<{this} as {}>::{function}", trait_name(of, &this, krate)))
}

/// Whether the crate defines the function. An instance of another crate's function is not its own, be it for a type of
/// the crate.
pub fn is_own(mangled: &str, krate: &str) -> bool {
    let name = format!("{:#}", rustc_demangle::demangle(mangled));
    let is_in_crate = |path: &str| path.strip_prefix(krate).is_some_and(|rest| rest.starts_with("::"));
    let Some(inside) = name.strip_prefix('<') else { return is_in_crate(&name) };
    let owner = end_of(inside).map_or(inside, |end| &inside[..end]);
    match split_as(owner) {
        Some((this, of)) => is_in_crate(this) || (this.starts_with(['&', '[']) && is_in_crate(of)),
        None => is_in_crate(owner),
    }
}

/// Without the arguments of the function itself: `::<...>` at the end.
fn without_arguments(name: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in name.bytes().enumerate() {
        if depth == 0 && at > 0 && name[at..].starts_with("::<") {
            return &name[..at];
        }
        depth = deeper(name, at, byte, depth);
    }
    name
}

/// Where the bracket ends that was opened before `inside`.
fn end_of(inside: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, byte) in inside.bytes().enumerate() {
        depth = deeper(inside, at, byte, depth);
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn split_as(owner: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, byte) in owner.bytes().enumerate() {
        if depth == 0 && owner[at..].starts_with(" as ") {
            return Some((&owner[..at], &owner[at + 4..]));
        }
        depth = deeper(owner, at, byte, depth);
    }
    None
}

/// The number of open angle brackets after a byte. The arrow of a function type is none.
fn deeper(text: &str, at: usize, byte: u8, depth: usize) -> usize {
    match byte {
        b'<' => depth + 1,
        b'>' if !text[..at].ends_with('-') => depth.saturating_sub(1),
        _ => depth,
    }
}

fn short(of: &str, krate: &str) -> String {
    if of.starts_with('&') {
        return REFERENCE.to_owned();
    }
    if let Some(element) = of.strip_prefix('[') {
        // `T; 2]`, but not `[T; 2]]`, a slice of arrays.
        let length = element.rsplit_once("; ").and_then(|(_, length)| length.strip_suffix(']'));
        return if length.is_some_and(|length| !length.contains(']')) { ARRAY } else { SLICE }.to_owned();
    }
    let path = of.split('<').next().unwrap_or(of);
    let is_in_crate = path.strip_prefix(krate).is_some_and(|rest| rest.starts_with("::"));
    if is_in_crate { path.to_owned() } else { path.rsplit("::").next().unwrap_or(path).to_owned() }
}

fn trait_name(of: &str, this: &str, krate: &str) -> String {
    let name = short(of, krate);
    let arguments = of.split_once('<').and_then(|(_, arguments)| arguments.strip_suffix('>'));
    // No trait here has more than one argument.
    match arguments.map(|argument| short(argument, krate)) {
        Some(argument) if argument != this => format!("{name}<{argument}>"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::function;

    #[test]
    fn names_have_no_arguments_and_own_paths_are_whole() {
        for (mangled, name) in [
            ("_RNvNtNtCsd1_7relakit5reloc5apply5apply", Some("relakit::reloc::apply::apply")),
            (
                "_RNvMNtCsd1_7relakit5errorNtB2_5Error10in_section",
                Some("<relakit::error::Error>::in_section"),
            ),
            ("_RINvNtCsd1_7relakit5index11find_sortedShEB4_", Some("relakit::index::find_sorted")),
            ("_RNCNvNtNtCsd1_7relakit5reloc5apply5apply0B7_", None),
            ("proof_module", None),
        ] {
            assert_eq!(function(mangled, "relakit").as_deref(), name, "{mangled}");
        }
    }
}
