//! A sign of life on a terminal when work takes longer than about a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Shows what is being done, on a terminal and after a second; gone when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Closed when this is dropped, which ends the thread.
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
            if still_alive && !late.is_finished() {
                // Draws nothing when standard error is no terminal.
                late.set_draw_target(ProgressDrawTarget::stderr());
                late.enable_steady_tick(Duration::from_millis(120));
            }
        });
        Self { bar, _alive: alive }
    }

    /// Says what is being done now.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Makes room for what is to be printed; the end of it.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
