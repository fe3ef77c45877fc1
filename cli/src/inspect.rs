//! stub
pub(crate) fn run(_args: &crate::args::InspectArgs) -> Result<(), crate::Failure> {
    Ok(())
}
