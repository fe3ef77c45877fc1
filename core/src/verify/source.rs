//! The memory that is verified, read in windows.

use super::region::Region;
use crate::error::{CallbackError, ErrorKind};
use crate::read::copy;
use crate::report::{Failed, Report};

/// Reads the memory of a running module: that of a guest, of this kernel, of a dump.
pub trait Reader {
    /// Reads the bytes at the run-time address `address`.
    ///
    /// The bytes lie in one section of the module. There are at most 256, and they do not cross a
    /// multiple of 256, so they lie in one page.
    ///
    /// # Errors
    /// Any number. The call fails with [`ErrorKind::Reader`].
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError>;
}

/// Size of a window in bytes, a power of two that divides the size of a page.
pub(super) const WINDOW: usize = 256;

/// A reader, and the window that was read last.
pub(super) struct Source<'a> {
    reader: &'a mut dyn Reader,
    window: [u8; WINDOW],
    /// Address and size of the window. The size is 0 if there is none.
    held: (u64, usize),
}

impl<'a> Source<'a> {
    pub(super) const fn new(reader: &'a mut dyn Reader) -> Self {
        Self { reader, window: [0; WINDOW], held: (0, 0) }
    }

    /// Returns what is found from `offset` of the region on, up to the end of its window. It is
    /// empty at the end of the region.
    pub(super) fn window(
        &mut self,
        region: &Region<'_>,
        offset: u64,
        report: &mut Report,
    ) -> Result<&[u8], Failed> {
        let rest = (region.bytes.len() as u64).saturating_sub(offset);
        let address = region.address.wrapping_add(offset);
        let (held, size) = self.held;
        let inside = usize::try_from(address.wrapping_sub(held)).ok().filter(|inside| *inside < size);
        let inside = match inside {
            Some(inside) => inside,
            None => {
                self.load(region, address, report)?;
                usize::try_from(address.wrapping_sub(self.held.0)).unwrap_or(usize::MAX)
            }
        };
        let found = self.window.get(..self.held.1).and_then(|window| window.get(inside..));
        let found = found.unwrap_or_default();
        let most = usize::try_from(rest).unwrap_or(usize::MAX).min(found.len());
        Ok(found.get(..most).unwrap_or_default())
    }

    /// Reads the window with `address`, as far as it belongs to the region.
    fn load(&mut self, region: &Region<'_>, address: u64, report: &mut Report) -> Result<(), Failed> {
        let mask = (WINDOW as u64).wrapping_sub(1);
        let start = (address & !mask).max(region.address);
        let last = region.address.wrapping_add((region.bytes.len() as u64).saturating_sub(1));
        let last = (address | mask).min(last);
        let size = usize::try_from(last.wrapping_sub(start)).unwrap_or(WINDOW).saturating_add(1);
        self.held = (0, 0);
        let window = self.window.get_mut(..size).unwrap_or_default();
        if let Err(error) = self.reader.read(start, window) {
            let failed = report.fail(ErrorKind::Reader, error.number(), 0);
            let failed = report.at_offset(failed, start.wrapping_sub(region.address));
            return Err(report.in_section(failed, region.section));
        }
        self.held = (start, size);
        Ok(())
    }

    /// Reads what is found at `offset` of the region, which contains the bytes.
    pub(super) fn read(
        &mut self,
        region: &Region<'_>,
        offset: u64,
        bytes: &mut [u8],
        report: &mut Report,
    ) -> Result<(), Failed> {
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            let found = self.window(region, at, report)?;
            let size = found.len().min(rest.len());
            let Some((part, tail)) = rest.split_at_mut_checked(size).filter(|_| size != 0) else { break };
            copy(part, found);
            (rest, at) = (tail, at.wrapping_add(size as u64));
        }
        Ok(())
    }
}
