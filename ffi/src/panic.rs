//! The panic handler of the archive. No panic is reachable, which linking with `prove-no-panic` proves; the language
//! wants a handler all the same.
#![cfg(all(panic = "abort", not(test)))]

#[cfg(feature = "prove-no-panic")]
unsafe extern "C" {
    // Defined nowhere.
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

/// The control of the proof: it can panic, and linking it must fail.
#[cfg(feature = "prove-no-panic")]
#[unsafe(no_mangle)]
#[expect(clippy::indexing_slicing, reason = "on purpose")]
extern "C" fn relakit_proof_control(index: usize) -> u8 {
    b"control"[index]
}
