//! A module's memory for both sides: some sections plain, some behind a writer, some nowhere.

use super::call::options;
use super::hooks::Device;
use core::mem::size_of;
use core::ptr;
use relakit::elf::Object;
use relakit::{CallbackError, Memory, Module, Profile, Target, Writer};
use relakit_ffi::*;

/// Every profile, with its number in C.
pub const PROFILES: [(u32, Profile); 12] = {
    let mut all = [(RELAKIT_PROFILE_DEFAULT, Profile::ELF); 12];
    all[1] = (RELAKIT_PROFILE_ELF, Profile::ELF);
    let mut row = 0;
    while row < Profile::LINUX.len() {
        let profile = Profile::LINUX[row];
        all[row + 2] = ((profile.since.0 as u32) << 16 | profile.since.1 as u32, profile);
        row += 1;
    }
    all
};

/// Larger sections have no place: a file of a few bytes may ask for gigabytes of zeros.
const MAX_SIZE: u64 = 0x8000;

/// No place.
pub const NOWHERE: relakit_section_memory = relakit_section_memory {
    flags: 0,
    reserved: 0,
    bytes: ptr::null_mut(),
    size: 0,
    address: 0,
    symbols_at: 0,
};

/// How a module is loaded: ten choices.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    profile: u8,
    /// Which sections have no place; 0: all have one. So are the next three.
    unplaced: u8,
    with_writer: u8,
    symbols_at: u8,
    wrong_size: u8,
    fails: [u8; 2],
    pub salt: u8,
    /// By how many entries the lent values are too short, and by how many bytes the kept memory.
    pub short: u8,
    pub kept_short: u8,
}

impl Choices {
    pub const SIZE: usize = 10;

    pub const fn new(choices: [u8; Self::SIZE]) -> Self {
        let [
            profile,
            unplaced,
            with_writer,
            symbols_at,
            wrong_size,
            fail,
            fail_again,
            salt,
            short,
            kept_short,
        ] = choices;
        let fails = [fail.wrapping_sub(1), fail_again.wrapping_sub(1)];
        Self { profile, unplaced, with_writer, symbols_at, wrong_size, fails, salt, short, kept_short }
    }

    pub fn profile(self) -> Profile {
        let (_, profile) = PROFILES[usize::from(self.profile) % PROFILES.len()];
        if self.profile & 128 != 0 {
            profile.with_flags(relakit::reloc::RelocFlags::TRUNCATE_PC32)
        } else {
            profile
        }
    }

    /// The size of a page of a layout; the last is none.
    pub fn page(self) -> u64 {
        [0, 4096, 1, 48][usize::from(self.salt % 4)]
    }

    pub fn options(self) -> relakit_options {
        let (number, _) = PROFILES[usize::from(self.profile) % PROFILES.len()];
        options(if self.profile & 128 != 0 { RELAKIT_OPT_TRUNCATE_PC32 } else { 0 }, number)
    }
}

/// Whether `choice` means section `index`: 0 none, 255 all, otherwise every so many.
const fn means(choice: u8, index: u32) -> bool {
    match choice {
        0 => false,
        255 => true,
        _ => index.is_multiple_of(choice as u32),
    }
}

#[derive(Clone, Debug)]
struct Spot {
    address: u64,
    symbols_at: Option<u64>,
    /// Empty behind the writer.
    bytes: Vec<u8>,
    size: u64,
    with_writer: bool,
}

/// The memory of a module.
#[derive(Clone, Debug)]
pub struct Sections {
    spots: Vec<Option<Spot>>,
    pub device: Device,
    has_writer: bool,
}

impl Sections {
    pub fn new(object: &Object<'_>, choices: Choices) -> Self {
        let mut behind = Vec::new();
        let spots = object.sections().map(|(index, section)| {
            if section.sh_size > MAX_SIZE || means(choices.unplaced, index) {
                return None;
            }
            let size = section.sh_size + u64::from(means(choices.wrong_size, index));
            let address = 0xffff_ffff_c000_0000u64.wrapping_add(u64::from(index) * 0x1_0000);
            let with_writer = means(choices.with_writer, index);
            let mut bytes = object.section_bytes(&section).to_vec();
            bytes
                .resize(usize::try_from(size).expect("at most MAX_SIZE"), if with_writer { 0 } else { 0xee });
            if with_writer {
                behind.push((address, core::mem::take(&mut bytes)));
            }
            let symbols_at = means(choices.symbols_at, index).then_some(u64::from(index) << 20);
            Some(Spot { address, symbols_at, bytes, size, with_writer })
        });
        let spots = spots.collect();
        Self { spots, device: Device::new(behind, choices.fails), has_writer: choices.with_writer != 0 }
    }

    pub fn of(module: &Module<'_>, choices: Choices) -> Self {
        Self::new(module.object(), choices)
    }

    /// The bytes of each plain section.
    pub fn plain(&self) -> Vec<&[u8]> {
        self.spots.iter().flatten().map(|spot| spot.bytes.as_slice()).collect()
    }

    /// The number of sections.
    pub const fn count(&self) -> usize {
        self.spots.len()
    }

    /// Address and bytes of each section, for who reads them while they run.
    pub fn running(&self) -> Vec<(u64, Vec<u8>)> {
        let plain = self.spots.iter().flatten().filter(|spot| !spot.with_writer);
        let plain = plain.map(|spot| (spot.address, spot.bytes.clone()));
        plain.chain(self.device.sections.iter().cloned()).collect()
    }

    /// For C. They lead into this.
    pub fn places(&mut self) -> Vec<relakit_section_memory> {
        let place = |spot: &mut Option<Spot>| {
            let Some(spot) = spot else { return NOWHERE };
            let flag = |there: bool, flag: u32| if there { flag } else { 0 };
            relakit_section_memory {
                flags: RELAKIT_MEMORY_PRESENT
                    | flag(spot.with_writer, RELAKIT_MEMORY_WRITER)
                    | flag(spot.symbols_at.is_some(), RELAKIT_MEMORY_SYMBOLS_AT),
                reserved: 0,
                bytes: if spot.bytes.is_empty() { ptr::null_mut() } else { spot.bytes.as_mut_ptr().cast() },
                size: spot.size,
                address: spot.address,
                symbols_at: spot.symbols_at.unwrap_or(0),
            }
        };
        self.spots.iter_mut().map(place).collect()
    }

    /// For C; `places` and `writer` are what it leads to.
    pub fn for_c(&self, places: &[relakit_section_memory], writer: &relakit_writer) -> relakit_memory {
        relakit_memory {
            struct_size: size_of::<relakit_memory>() as u32,
            flags: 0,
            sections: places.as_ptr(),
            count: places.len(),
            writer: if self.has_writer { &raw const *writer } else { ptr::null() },
        }
    }

    fn spot(&self, section: u32) -> Option<&Spot> {
        self.spots.get(usize::try_from(section).ok()?)?.as_ref()
    }
}

impl Memory for Sections {
    fn base(&self, section: u32) -> Option<u64> {
        self.spot(section).map(|spot| spot.symbols_at.unwrap_or(spot.address))
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let spot = self.spots.get_mut(usize::try_from(section).ok()?)?.as_mut()?;
        Some(match spot.with_writer {
            true => Target::with_writer(spot.size, spot.address, &mut self.device),
            false => Target::new(&mut spot.bytes, spot.address),
        })
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        if self.has_writer { self.device.sync() } else { Ok(()) }
    }
}
