//! How long nobody has asked for anything: decides when an unattended server ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts pending requests and remembers when the last one ended.
pub struct Activity(Mutex<State>);

struct State {
    pending: usize,
    last: Instant,
}

/// A request under way.
pub struct Pending<'a>(&'a Activity);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new(State {
            pending: 0,
            last: Instant::now(),
        }))
    }
}

impl Activity {
    /// A request begins; it ends when the result is dropped.
    #[must_use]
    pub fn begin(&self) -> Pending<'_> {
        self.state().pending += 1;
        Pending(self)
    }

    /// Time since the last request ended, zero while one is pending.
    pub fn idle(&self) -> Duration {
        let state = self.state();
        if state.pending > 0 {
            Duration::ZERO
        } else {
            state.last.elapsed()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.pending -= 1;
        state.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_not_be_idle_while_a_request_is_pending() {
        let activity = Activity::default();
        let pending = activity.begin();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(activity.idle(), Duration::ZERO);
        drop(pending);
        std::thread::sleep(Duration::from_millis(20));
        assert!(activity.idle() >= Duration::from_millis(20));
    }
}
