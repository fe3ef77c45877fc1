//! A progress indicator on terminals, for work that takes longer than about a second.

use crate::console;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Appears after one second, and disappears when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropping the sender ends the thread.
    _alive: mpsc::Sender<()>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::default_spinner());
        let (alive, over) = mpsc::channel();
        let late = bar.clone();
        std::thread::spawn(move || {
            let still_alive = over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout);
            if still_alive && !late.is_finished() && !console::is_quiet() {
                // Draws nothing if standard error is not a terminal.
                late.set_draw_target(ProgressDrawTarget::stderr());
                late.enable_steady_tick(Duration::from_millis(120));
            }
        });
        Self { bar, _alive: alive }
    }

    /// Shows what the program does now.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Removes the indicator, so that the program can print.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
