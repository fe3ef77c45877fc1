//! Makes the livepatch sections: one for each patched object and relocated section.

use crate::advice;
use crate::refusal::{Refusal, text};
use crate::session::{Planned, Session};
use crate::types::{KlpSection, SHF_RELA_LIVEPATCH};
use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId};
use object::elf::{SHF_ALLOC, SHF_INFO_LINK, SHT_RELA, SectionFlags};
use relakit::abi::{KLP_RELA_PREFIX, RELA_SIZE, VMLINUX};
use relakit::klp::RelaName;
use std::collections::HashMap;

/// The relocations of one livepatch section.
struct Group {
    name: Vec<u8>,
    patched: Vec<u8>,
    target: SectionId,
    relocations: Vec<Relocation>,
}

/// Adds the planned relocations to the livepatch sections that the file has, and makes the others.
pub(crate) fn make(builder: &mut Builder<'_>, session: &mut Session<'_>) -> Vec<KlpSection> {
    let mut groups: Vec<Group> = Vec::new();
    let mut numbers = HashMap::new();
    for Planned { patched, target, relocation } in std::mem::take(&mut session.planned) {
        let key = (patched, target.index());
        let number = match numbers.get(&key) {
            Some(number) => *number,
            None => {
                let number = groups.len();
                if let Some(group) = group(builder, session, &key.0, target) {
                    groups.push(group);
                } else {
                    continue;
                }
                numbers.insert(key, number);
                number
            }
        };
        if let Some(group) = groups.get_mut(number) {
            advice::check(builder, session, &group.patched, target, &relocation);
            group.relocations.push(relocation);
        }
    }
    let symtab = builder.sections.iter().find(|section| matches!(section.data, SectionData::Symbol));
    let symtab = symtab.map(|section| section.id());
    // The last section of a name counts.
    let mut existing: HashMap<Vec<u8>, SectionId> =
        builder.sections.iter().map(|section| (section.name.to_vec(), section.id())).collect();
    groups.into_iter().filter_map(|group| add(builder, session, symtab, &mut existing, group)).collect()
}

fn group(
    builder: &Builder<'_>,
    session: &mut Session<'_>,
    patched: &[u8],
    target: SectionId,
) -> Option<Group> {
    let of = &builder.sections.get(target).name;
    let mut buffer =
        vec![
            0;
            KLP_RELA_PREFIX.len().saturating_add(1).saturating_add(patched.len()).saturating_add(of.len())
        ];
    let Some(name) = RelaName::write(patched, of, &mut buffer).map(<[u8]>::to_vec) else {
        session.refuse(Refusal::new(format!(
            "the livepatch section of {} for {} cannot be named: an object has 1 to 55 bytes without a dot",
            text(of),
            text(patched)
        )));
        return None;
    };
    if let Some(objects) = &session.patched
        && patched != VMLINUX
        && !objects.contains(patched)
    {
        let objects: Vec<_> = objects.iter().map(|object| text(object)).collect();
        let object = text(patched);
        session.refuse(
            Refusal::new(format!("the livepatch has relocations for {object}, and does not patch it"))
                .details(vec![format!("it patches {}", objects.join(", "))])
                .help(format!(
                    "add a struct klp_object with .name = \"{object}\", or name the patched module that uses the \
                     symbol, as the first argument of KLP_RELOC_SYMBOL"
                )),
        );
        return None;
    }
    Some(Group { name, patched: patched.to_vec(), target, relocations: Vec::new() })
}

fn add(
    builder: &mut Builder<'_>,
    session: &mut Session<'_>,
    symtab: Option<SectionId>,
    existing: &mut HashMap<Vec<u8>, SectionId>,
    group: Group,
) -> Option<KlpSection> {
    let Group { name, patched, target, relocations } = group;
    let target_name = builder.sections.get(target).name.to_vec();
    let row = KlpSection {
        name: name.clone(),
        patched,
        target: target_name,
        relocations: u64::try_from(relocations.len()).unwrap_or(u64::MAX),
    };
    if let Some(id) = existing.get(&name) {
        let section = builder.sections.get_mut(*id);
        let is_klp = section.sh_flags.0 & SHF_RELA_LIVEPATCH != 0;
        match (&mut section.data, section.sh_info_section) {
            (SectionData::Relocation(before), Some(of)) if is_klp && of == target => {
                before.extend(relocations)
            }
            _ => {
                session.refuse(
                    Refusal::new(format!("the file has another section {}", text(&name)))
                        .help("Linux needs different names: rename one of the relocated sections"),
                );
                return None;
            }
        }
        return Some(row);
    }
    let section = builder.sections.add();
    section.name = name.clone().into();
    section.sh_type = SHT_RELA;
    section.sh_flags = SectionFlags(SHF_ALLOC.0 | SHF_INFO_LINK.0 | SHF_RELA_LIVEPATCH);
    section.sh_link_section = symtab;
    section.sh_info_section = Some(target);
    section.sh_addralign = 8;
    section.sh_entsize = RELA_SIZE as u64;
    section.data = SectionData::Relocation(relocations);
    existing.insert(name, section.id());
    Some(row)
}
