//! `update_settings`, and settings given at creation.

use std::collections::BTreeMap;
use std::sync::Arc;

use candid::Nat;
use ic_management_canister_types::{
    CanisterSettings, ChangeDetails, ControllersChangeRecord, LogVisibility, StatusVisibility,
    UpdateSettingsArgs,
};

use super::lifecycle::{change_origin, cycles_amount};
use crate::canister::Settings;
use crate::errors::{ErrorCode, UserError};
use crate::message::Origin;
use crate::replica::Replica;
use crate::texts;
use crate::types::Principal;

const MAX_CONTROLLERS: usize = 10;
const MAX_VIEWERS: usize = 10;
const MAX_MEMORY_BYTES: u64 = 1 << 48;
const MAX_LOG_BYTES: u64 = 2 << 20;
const MAX_ENVIRONMENT_VARIABLES: usize = 20;
const MAX_ENVIRONMENT_TEXT: usize = 128;

fn invalid(text: String) -> UserError {
    UserError::new(ErrorCode::InvalidManagementPayload, text)
}

/// A setting of this name within `0..=max`.
fn bounded(name: &str, value: &Nat, max: u64) -> Result<u64, UserError> {
    u64::try_from(value.0.clone())
        .ok()
        .filter(|&value| value <= max)
        .ok_or_else(|| {
            invalid(format!(
                "{name} expected to be in the range [0..{max}], got {value}"
            ))
        })
}

/// A list of viewers that is not too long.
fn few_viewers(setting: &str, viewers: &[Principal]) -> Result<(), UserError> {
    if viewers.len() > MAX_VIEWERS {
        return Err(invalid(format!(
            "Invalid settings: '{setting}' lists more than {MAX_VIEWERS} viewers."
        )));
    }
    Ok(())
}

impl Settings {
    /// Applies the given settings, all or none.
    pub fn apply(&mut self, change: CanisterSettings) -> Result<(), UserError> {
        let mut new = self.clone();
        if let Some(mut controllers) = change.controllers {
            controllers.sort_unstable();
            controllers.dedup();
            if controllers.len() > MAX_CONTROLLERS {
                return Err(invalid(format!(
                    "Invalid settings: 'controllers' length exceeds maximum size allowed of {MAX_CONTROLLERS}."
                )));
            }
            new.controllers = controllers;
        }
        if let Some(value) = change.compute_allocation {
            new.compute_allocation = bounded("ComputeAllocation", &value, 100)?;
        }
        if let Some(value) = change.memory_allocation {
            new.memory_allocation = bounded("MemoryAllocation", &value, MAX_MEMORY_BYTES)?;
        }
        if let Some(value) = change.freezing_threshold {
            new.freezing_threshold = bounded("Freezing threshold", &value, u64::MAX)?;
        }
        if let Some(value) = change.reserved_cycles_limit {
            new.reserved_cycles_limit = cycles_amount(&value)?;
        }
        if let Some(visibility) = change.log_visibility {
            if let LogVisibility::AllowedViewers(viewers) = &visibility {
                few_viewers("log_visibility", viewers)?;
            }
            new.log_visibility = visibility;
        }
        if let Some(value) = change.log_memory_limit {
            new.log_memory_limit = bounded("Log memory limit", &value, MAX_LOG_BYTES)?;
        }
        if let Some(visibility) = change.snapshot_visibility {
            new.snapshot_visibility = visibility;
        }
        if let Some(visibility) = change.status_visibility {
            if let StatusVisibility::AllowedViewers(viewers) = &visibility {
                few_viewers("status_visibility", viewers)?;
            }
            new.status_visibility = visibility;
        }
        if let Some(value) = change.minimum_incoming_canister_call_cycles
            && value != 0_u64
        {
            return Err(invalid(
                "minimum_incoming_canister_call_cycles is not supported by this local runtime"
                    .to_string(),
            ));
        }
        if let Some(value) = change.wasm_memory_limit {
            new.wasm_memory_limit = bounded("Wasm memory limit", &value, MAX_MEMORY_BYTES)?;
        }
        if let Some(value) = change.wasm_memory_threshold {
            // The hook it would trigger does not exist here; zero, the default, means no hook.
            if value != 0_u64 {
                return Err(invalid(
                    "wasm_memory_threshold is not supported by this local runtime".to_string(),
                ));
            }
        }
        if let Some(variables) = change.environment_variables {
            new.environment_variables = environment_variables(variables)?;
        }
        *self = new;
        Ok(())
    }
}

fn environment_variables(
    variables: Vec<ic_management_canister_types::EnvironmentVariable>,
) -> Result<Arc<BTreeMap<String, String>>, UserError> {
    if variables.len() > MAX_ENVIRONMENT_VARIABLES {
        return Err(invalid(format!(
            "Invalid settings: more than {MAX_ENVIRONMENT_VARIABLES} environment variables."
        )));
    }
    let mut map = BTreeMap::new();
    for variable in variables {
        if variable.name.len() > MAX_ENVIRONMENT_TEXT || variable.value.len() > MAX_ENVIRONMENT_TEXT
        {
            return Err(invalid(format!(
                "Invalid settings: an environment variable is longer than {MAX_ENVIRONMENT_TEXT} bytes."
            )));
        }
        if map.insert(variable.name, variable.value).is_some() {
            return Err(invalid(
                "Invalid settings: an environment variable is given twice.".to_string(),
            ));
        }
    }
    Ok(Arc::new(map))
}

impl Replica {
    pub(super) fn update_settings(
        &mut self,
        caller: Principal,
        origin: &Origin,
        args: UpdateSettingsArgs,
    ) -> Result<(), UserError> {
        let now = self.state_time;
        let id = args.canister_id;
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let controllers_given = args.settings.controllers.is_some();
        canister.settings.apply(args.settings)?;
        canister.version += 1;
        canister.logs.shrink(canister.settings.log_memory_limit);
        if controllers_given {
            let record = ControllersChangeRecord {
                controllers: canister.settings.controllers.clone(),
            };
            canister.history.push(
                now,
                canister.version,
                change_origin(caller, origin),
                ChangeDetails::ControllersChange(record),
            );
        }
        Ok(())
    }
}
