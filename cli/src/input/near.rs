//! The known name that a misspelt name probably means.

/// The candidate with the smallest edit distance to `name`, if it differs in few characters.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Longer names are not compared, because the time grows with both lengths.
    const LONGEST: usize = 128;
    let most = (name.len() / 3).clamp(1, 3);
    let short = |text: &str| text.len() <= LONGEST;
    let compared = candidates.into_iter().filter(|candidate| short(name) && short(candidate));
    let distances = compared.map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    distances.filter(|(distance, _)| (1..=most).contains(distance)).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

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
