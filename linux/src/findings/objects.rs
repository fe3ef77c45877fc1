//! Findings about late sections for objects that the module does not patch.

use super::{Finding, Lint};
use crate::bytes::index as to_index;
use crate::loader_check::enables_patch;
use core::cmp::Ordering;
use relakit::abi::OBJECT_NAME_MAX;
use relakit::arch::is_pointer;
use relakit::elf::SymbolLocation;
use relakit::sort::sort;
use relakit::{Class, Module};

/// Returns every name of a module that `module` patches, as far as a file tells. A name may be
/// returned several times.
///
/// A module patches objects only if it calls `klp_enable_patch`. A name is a text of 1 to 55 bytes
/// with a NUL after it, to which a pointer in the module's data leads, as in `struct klp_object`.
///
/// One iteration takes time linear in the size of the file. Callers that ask for many objects
/// should collect the names into a set.
pub fn patched_names<'a, 'f>(module: &'a Module<'f>) -> impl Iterator<Item = &'f [u8]> + use<'a, 'f> {
    let enabled = enables_patch(module).then(|| pointed_texts(module));
    enabled.into_iter().flatten()
}

/// Returns whether [`patched_names`] has `object`. Each call reads all ordinary relocations.
pub fn patches(module: &Module<'_>, object: &[u8]) -> bool {
    patched_names(module).any(|name| name == object)
}

/// The texts to which an ordinary 64-bit relocation leads, if they can be names of objects.
fn pointed_texts<'a, 'f>(module: &'a Module<'f>) -> impl Iterator<Item = &'f [u8]> + use<'a, 'f> {
    let object = module.object();
    let table = object.symbols();
    let text = |symbol: u32, addend: i64| {
        let found = table.get(symbol)?;
        let SymbolLocation::Section(section) = table.location(&found) else { return None };
        let bytes = object.section_bytes(&object.section(section)?);
        let text = bytes.get(to_index(found.st_value.wrapping_add(addend.cast_unsigned()))?..)?;
        let longest = text.get(..=OBJECT_NAME_MAX).unwrap_or(text);
        let end = longest.iter().position(|byte| *byte == 0)?;
        longest.get(..end).filter(|text| !text.is_empty())
    };
    let is_ordinary = |class: Class<'_>| matches!(class, Class::Ordinary { .. });
    let tables = module.classes().filter(move |(_, class)| is_ordinary(class.class));
    let tables = tables.map(|(index, _)| module.relocations(index));
    let pointers = tables.flat_map(|table| table.iter()).filter(|rela| is_pointer(rela.r_type));
    pointers.filter_map(move |rela| text(rela.r_sym, rela.r_addend))
}

/// A late section as one word: 30 bits of a hash of its object, two flags, the section index.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    /// In the first word of an object: a pointer leads to the object's name.
    const NAMED: u64 = 1 << 32;
    /// In the first word of all objects that differ in case only: a pointer leads to a name that
    /// also differs in case only, and no object has that name.
    const VARIANT: u64 = 1 << 33;
    const FLAGS: u64 = Self::NAMED | Self::VARIANT;

    fn new(object: &[u8], section: u32) -> Self {
        Self(hash(object) << 34 | u64::from(section))
    }

    const fn section(self) -> u32 {
        crate::bytes::low32(self.0)
    }

    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
}

/// Hash of a name without regard to case, 30 bits: the upper bits of FNV-1a.
fn hash(name: &[u8]) -> u64 {
    let mix =
        |hash: u64, byte: &u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    name.iter().fold(0xcbf2_9ce4_8422_2325, mix) >> 34
}

/// The order of words: hash, name without regard to case, name. The names decide where hashes are
/// equal, so names that collide on purpose cost no more than a search by name.
struct Order<'a, 'f>(&'a Module<'f>);

impl<'f> Order<'_, 'f> {
    fn object(&self, word: u64) -> &'f [u8] {
        let class = self.0.class(Word(word).section());
        class.and_then(|class| class.class.object()).unwrap_or_default()
    }

    /// Compares without regard to case.
    fn folded(&self, word: u64, hash: u64, name: &[u8]) -> Ordering {
        let lower = |name: &[u8], other: &[u8]| {
            let fold = u8::to_ascii_lowercase;
            name.iter().map(fold).cmp(other.iter().map(fold))
        };
        (word >> 34).cmp(&hash).then_with(|| lower(self.object(word), name))
    }

    fn exact(&self, word: u64, hash: u64, name: &[u8]) -> Ordering {
        self.folded(word, hash, name).then_with(|| self.object(word).cmp(name))
    }
}

/// Reports the late sections for objects that the module does not patch, in the order of the file.
///
/// `scratch` has room for a word for each late section. Of n late sections and m relocations, the
/// call takes (n + m) log n steps.
pub(super) fn not_patched(module: &Module<'_>, scratch: &mut [u64], report: &mut dyn FnMut(Finding)) {
    let late = module.classes().filter_map(|(index, class)| match class.class {
        Class::KlpLate { object, .. } => Some(Word::new(object, index).0),
        _ => None,
    });
    let mut count = 0usize;
    for (slot, word) in scratch.iter_mut().zip(late) {
        *slot = word;
        count = count.saturating_add(1);
    }
    let words = scratch.get_mut(..count).unwrap_or_default();
    if words.is_empty() {
        return;
    }
    let order = Order(module);
    sort(words, &|one, other| order.exact(one, other >> 34, order.object(other)));
    for text in pointed_texts(module) {
        note(&order, words, text);
    }
    let enabled = enables_patch(module);
    let mut rest = &mut *words;
    while let Some(first) = rest.first().copied() {
        let name = order.object(first);
        let end = rest.partition_point(|word| order.folded(*word, first >> 34, name).is_eq());
        let Some((variants, others)) = rest.split_at_mut_checked(end) else { break };
        decide(&order, variants, enabled);
        rest = others;
    }
    sort(words, &|one, other| Word(one).section().cmp(&Word(other).section()));
    for word in words.iter().map(|word| Word(*word)) {
        let rule = match (word.has(Word::NAMED), word.has(Word::VARIANT)) {
            (true, _) => continue,
            (false, true) => Lint::ObjectNameCase,
            (false, false) => Lint::ObjectNotPatched,
        };
        report(Finding { section: Some(word.section()), ..Finding::new(rule) });
    }
}

/// Notes in the sorted `words` that a pointer leads to `text`.
fn note(order: &Order<'_, '_>, words: &mut [u64], text: &[u8]) {
    let hash = hash(text);
    let at = words.partition_point(|word| order.exact(*word, hash, text).is_lt());
    if let Some(word) = words.get_mut(at)
        && order.exact(*word, hash, text).is_eq()
    {
        *word |= Word::NAMED;
        return;
    }
    let at = words.partition_point(|word| order.folded(*word, hash, text).is_lt());
    if let Some(word) = words.get_mut(at)
        && order.folded(*word, hash, text).is_eq()
    {
        *word |= Word::VARIANT;
    }
}

/// Gives each word of objects that differ in case only its own flags: NAMED if the object is
/// patched, VARIANT if a name that differs in case only is pointed to.
fn decide(order: &Order<'_, '_>, mut variants: &mut [u64], enabled: bool) {
    let is_noted = variants.first().is_some_and(|first| Word(*first).has(Word::VARIANT));
    let named = variants.iter().filter(|word| Word(**word).has(Word::NAMED));
    let named = named.fold(0usize, |count, _| count.saturating_add(1));
    while let Some(first) = variants.first().copied() {
        let name = order.object(first);
        let end = variants.partition_point(|word| order.object(*word) == name);
        let Some((sections, others)) = variants.split_at_mut_checked(end) else { break };
        let is_named = Word(first).has(Word::NAMED);
        let mut flags = 0;
        if is_named && enabled {
            flags |= Word::NAMED;
        }
        if is_noted || named > usize::from(is_named) {
            flags |= Word::VARIANT;
        }
        for word in sections {
            *word = *word & !Word::FLAGS | flags;
        }
        variants = others;
    }
}
