//! Canister logs as `fetch_canister_logs` serves them.

use std::collections::VecDeque;

use ic_management_canister_types::{CanisterLogFilter, CanisterLogRecord};

/// Default capacity in bytes of content.
pub const DEFAULT_LOG_BYTES: u64 = 4_096;

/// The newest log records that fit into the capacity.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    records: VecDeque<CanisterLogRecord>,
    bytes: u64,
    next_index: u64,
}

impl Logs {
    /// Appends a line, cut to `capacity` bytes, and drops the oldest records beyond it.
    pub fn push(&mut self, time: u64, line: &str, capacity: u64) {
        let cut = usize::try_from(capacity).map_or(line.len(), |capacity| line.len().min(capacity));
        let content = line.as_bytes()[..cut].to_vec();
        self.bytes += content.len() as u64;
        self.records.push_back(CanisterLogRecord {
            idx: self.next_index,
            timestamp_nanos: time,
            content,
        });
        self.next_index += 1;
        self.shrink(capacity);
    }

    /// Drops the oldest records beyond `capacity` bytes.
    pub fn shrink(&mut self, capacity: u64) {
        while self.bytes > capacity {
            let Some(oldest) = self.records.pop_front() else {
                break;
            };
            self.bytes -= oldest.content.len() as u64;
        }
    }

    /// The records that match the filter, oldest first. `end` is exclusive.
    pub fn select(&self, filter: Option<&CanisterLogFilter>) -> Vec<CanisterLogRecord> {
        let matches = |record: &&CanisterLogRecord| match filter {
            None => true,
            Some(CanisterLogFilter::ByIdx { start, end }) => (*start..*end).contains(&record.idx),
            Some(CanisterLogFilter::ByTimestampNanos { start, end }) => {
                (*start..*end).contains(&record.timestamp_nanos)
            }
        };
        self.records.iter().filter(matches).cloned().collect()
    }

    /// Forgets the records; indices go on.
    pub fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_records_should_go_first() {
        let mut logs = Logs::default();
        for line in ["aaaa", "bbbb", "cccc"] {
            logs.push(7, line, 9);
        }
        let kept: Vec<(u64, Vec<u8>)> = logs
            .select(None)
            .into_iter()
            .map(|record| (record.idx, record.content))
            .collect();
        assert_eq!(kept, [(1, b"bbbb".to_vec()), (2, b"cccc".to_vec())]);
        let by_index = CanisterLogFilter::ByIdx { start: 2, end: 3 };
        assert_eq!(logs.select(Some(&by_index)).len(), 1);
    }
}
