//! Live mode: time follows the wall clock, rounds run by themselves.

use super::{Core, Crashed, Network, outcalls};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// Longest pause between two rounds, so that certificates stay fresh.
const IDLE_PAUSE: Duration = Duration::from_millis(400);
/// Pause between rounds while there is work: leaves the core to others in between.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// The task that drives a network; it ends when this is dropped.
pub struct Live {
    task: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nanoseconds since 1970-01-01 by the wall clock.
pub fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_nanos()).ok())
        .unwrap_or(0)
}

impl Network {
    /// Turns live mode on; returns after the first round at the present time. On already: does nothing.
    pub async fn start_progress(self: &Arc<Self>) -> Result<(), Crashed> {
        if self.is_live() {
            return Ok(());
        }
        self.run(live_round).await?;
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.is_none() {
            *live = Some(Live {
                task: tokio::spawn(drive(Arc::downgrade(self))),
            });
        }
        Ok(())
    }

    /// Turns live mode off. Time stands still from here on.
    pub fn stop_progress(&self) {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Whether live mode is on.
    pub fn is_live(&self) -> bool {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

/// Runs rounds until the network is gone. Between rounds it holds no reference that would keep it alive for long.
async fn drive(network: Weak<Network>) {
    loop {
        let Some(network) = network.upgrade() else {
            return;
        };
        let Ok(pause) = network.run(live_round).await else {
            return;
        };
        outcalls::perform_pending(&network).await;
        tokio::select! {
            _ = tokio::time::sleep(pause) => {}
            _ = network.work.notified() => {}
        }
    }
}

/// One round at the present time; returns how long nothing will be due.
fn live_round(core: &mut Core) -> Duration {
    let now = wall_clock();
    if now > core.replica.time() {
        // Cannot be the past: just compared. If it is refused all the same, the round runs a nanosecond later.
        let _ = core.replica.set_time(now);
    }
    core.round();
    if core.replica.busy() {
        return BUSY_PAUSE;
    }
    let due = core
        .replica
        .next_timer()
        .map(|timer| Duration::from_nanos(timer.saturating_sub(wall_clock())));
    due.map_or(IDLE_PAUSE, |due| due.clamp(BUSY_PAUSE, IDLE_PAUSE))
}
