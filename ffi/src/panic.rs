//! The panic handler of the archive. The language requires one, but no panic is reachable: linking
//! with the feature `prove-no-panic` proves that.
#![cfg(all(panic = "abort", not(test)))]

#[cfg(feature = "prove-no-panic")]
unsafe extern "C" {
    // Not defined, so a reachable panic is a link error.
    safe fn relakit_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "prove-no-panic")]
    relakit_panic_is_reachable();
    #[cfg(not(feature = "prove-no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}

/// Control of the proof: this function can panic, so linking it must fail.
#[cfg(feature = "prove-no-panic")]
#[unsafe(no_mangle)]
#[expect(clippy::indexing_slicing, reason = "on purpose")]
extern "C" fn relakit_proof_control(index: usize) -> u8 {
    b"control"[index]
}
