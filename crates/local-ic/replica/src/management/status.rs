//! What the management canister tells about a canister.

use ic_management_canister_types::{
    CanisterInfoArgs, CanisterInfoResult, CanisterStatusResult, CanisterStatusType,
    DefiniteCanisterSettings, EnvironmentVariable, FetchCanisterLogsArgs, FetchCanisterLogsResult,
    LogVisibility, MemoryMetrics, QueryStats,
};

use super::Handled;
use crate::canister::{Canister, Status};
use crate::errors::{ErrorCode, UserError};
use crate::replica::Replica;
use crate::texts;
use crate::types::{Cycles, Principal};

const DAY_NANOS: u64 = 86_400_000_000_000;

fn definite_settings(canister: &Canister) -> DefiniteCanisterSettings {
    let settings = &canister.settings;
    let variables = settings.environment_variables.iter();
    DefiniteCanisterSettings {
        controllers: settings.controllers.clone(),
        compute_allocation: settings.compute_allocation.into(),
        memory_allocation: settings.memory_allocation.into(),
        freezing_threshold: settings.freezing_threshold.into(),
        // Any other minimum is refused (`Settings::apply`).
        minimum_incoming_canister_call_cycles: 0_u64.into(),
        reserved_cycles_limit: settings.reserved_cycles_limit.into(),
        log_visibility: settings.log_visibility.clone(),
        log_memory_limit: settings.log_memory_limit.into(),
        snapshot_visibility: settings.snapshot_visibility.clone(),
        status_visibility: settings.status_visibility.clone(),
        wasm_memory_limit: settings.wasm_memory_limit.into(),
        wasm_memory_threshold: settings.wasm_memory_threshold.into(),
        environment_variables: variables
            .map(|(name, value)| EnvironmentVariable {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
    }
}

impl Replica {
    pub(super) fn canister_status(
        &self,
        id: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let prices = self.subnets[canister.subnet].prices;
        let memory = canister.memory();
        let status = CanisterStatusResult {
            status: match canister.status {
                Status::Running => CanisterStatusType::Running,
                Status::Stopping(_) => CanisterStatusType::Stopping,
                Status::Stopped => CanisterStatusType::Stopped,
            },
            ready_for_migration: false,
            version: canister.version,
            settings: definite_settings(canister),
            module_hash: canister
                .code
                .as_ref()
                .map(|code| code.module.hash().to_vec()),
            memory_size: memory.total().into(),
            memory_metrics: MemoryMetrics {
                wasm_memory_size: memory.heap.into(),
                stable_memory_size: memory.stable.into(),
                global_memory_size: memory.globals.into(),
                wasm_binary_size: memory.wasm_binary.into(),
                custom_sections_size: memory.custom_sections.into(),
                canister_history_size: memory.history.into(),
                wasm_chunk_store_size: memory.chunk_store.into(),
                snapshots_size: 0_u64.into(),
                // Logs are kept outside the canister's memory and are not charged.
                log_memory_store_size: 0_u64.into(),
            },
            cycles: canister.balance.into(),
            // Nothing is ever reserved: local subnets do not fill up.
            reserved_cycles: 0_u64.into(),
            idle_cycles_burned_per_day: canister.idle_cost(prices, DAY_NANOS).into(),
            query_stats: QueryStats {
                num_calls_total: 0_u64.into(),
                num_instructions_total: 0_u64.into(),
                request_payload_bytes_total: 0_u64.into(),
                response_payload_bytes_total: 0_u64.into(),
            },
        };
        Handled::reply(status, cycles)
    }

    pub(super) fn canister_info(
        &self,
        args: &CanisterInfoArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let id = args.canister_id;
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let info = CanisterInfoResult {
            total_num_changes: canister.history.total(),
            recent_changes: canister
                .history
                .newest(args.num_requested_changes.unwrap_or(0)),
            module_hash: canister
                .code
                .as_ref()
                .map(|code| code.module.hash().to_vec()),
            controllers: canister.settings.controllers.clone(),
        };
        Handled::reply(info, cycles)
    }

    /// The log records the caller may see. Errors: 301 for an unknown canister, 406 without permission.
    pub(super) fn fetch_canister_logs(
        &self,
        caller: Principal,
        args: &FetchCanisterLogsArgs,
    ) -> Result<Vec<u8>, UserError> {
        let id = args.canister_id;
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let permitted = canister.is_controller(&caller)
            || match &canister.settings.log_visibility {
                LogVisibility::Controllers => false,
                LogVisibility::Public => true,
                LogVisibility::AllowedViewers(viewers) => viewers.contains(&caller),
            };
        if !permitted {
            return Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("Caller {caller} is not allowed to access canister logs"),
            ));
        }
        super::encode(FetchCanisterLogsResult {
            canister_log_records: canister.logs.select(args.filter.as_ref()),
        })
    }
}
