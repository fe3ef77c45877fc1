//! The known name that a misspelt name probably means.

/// The candidate with the smallest edit distance to `name`, if it differs in few characters.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Longer names are not compared, because the time grows with both lengths.
    const LONGEST: usize = 128;
    let most = (name.len() / 3).clamp(1, 3);
    let short = |text: &str| text.len() <= LONGEST;
    let (length, own) = (name.chars().count(), letters(name));
    // Each change of a character adds or removes at most one letter. This is known sooner than the distance.
    let may_be_near = |candidate: &str| {
        let other = letters(candidate);
        let differing = (own & !other).count_ones().max((other & !own).count_ones());
        differing as usize <= most && length.abs_diff(candidate.chars().count()) <= most
    };
    let compared =
        candidates.into_iter().filter(|candidate| short(name) && short(candidate) && may_be_near(candidate));
    let distances = compared.map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    distances.filter(|(distance, _)| (1..=most).contains(distance)).min().map(|(_, candidate)| candidate)
}

/// The set of the ASCII characters in a text.
fn letters(text: &str) -> u128 {
    text.bytes().filter(u8::is_ascii).fold(0, |set, byte| set | 1 << byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_near_name_is_passed_over() {
        let parts = ["", "a", "b", "ab", "ba", "_", "\u{e9}", "\u{fc}", "xyz"];
        let names: Vec<_> =
            parts.iter().flat_map(|first| parts.map(|second| format!("{first}q{second}r{first}"))).collect();
        for name in &names {
            let most = (name.len() / 3).clamp(1, 3);
            let distance = |other: &&String| strsim::damerau_levenshtein(name, other);
            let near = names.iter().filter(|other| (1..=most).contains(&distance(other)));
            let expected = near.map(|other| (distance(&other), other.as_str())).min();
            assert_eq!(
                nearest(name, names.iter().map(String::as_str)),
                expected.map(|(_, other)| other),
                "{name}"
            );
        }
    }

    #[test]
    fn a_name_with_few_differences_is_near() {
        let near = |name| nearest(name, ["loop", "nfs", "snd_hda_intel"]);
        assert_eq!(near("loob"), Some("loop"));
        assert_eq!(near("lop"), Some("loop"));
        assert_eq!(near("nsf"), Some("nfs"));
        assert_eq!(near("snd-hda-intel"), Some("snd_hda_intel"));
        assert_eq!(near("ext4"), None);
        assert_eq!(near("loop"), None, "the name itself");
        assert_eq!(near(&"l".repeat(200)), None);
    }
}
