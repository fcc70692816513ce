//! Installing, reinstalling and upgrading code.
//!
//! An installation is one message to the canister: it pays for compiling and for all entry points it
//! runs, and leaves nothing but that payment if any of them fails. It is finished within one round
//! here, however long it runs.

use std::sync::Arc;

use ic_management_canister_types::{
    CanisterInstallMode, ChangeDetails, CodeDeploymentMode, CodeDeploymentRecord, UpgradeFlags,
    WasmMemoryPersistence,
};
use local_ic_engine::{CompileError, Done, Entry, Env, Instance, Module, Trap};

use super::lifecycle::change_origin;
use super::request::InstallCodeArgs;
use crate::canister::{Canister, Code};
use crate::errors::{ErrorCode, UserError};
use crate::execute::environment;
use crate::fees::{COMPILE_INSTRUCTIONS, INSTALL_INSTRUCTIONS};
use crate::message::Origin;
use crate::replica::Replica;
use crate::texts;
use crate::types::{MessageCost, Principal};

/// What is to be installed where, and by whom.
struct Installation<'a> {
    caller: Principal,
    id: Principal,
    mode: CanisterInstallMode,
    skip_pre_upgrade: bool,
    module: &'a Arc<Module>,
    arg: &'a [u8],
}

/// What the entry points run by an installation leave behind.
#[derive(Default)]
struct Effects {
    instructions: u64,
    burned: u128,
    certified_data: Option<Vec<u8>>,
    global_timer: Option<u64>,
    logs: Vec<String>,
    costs: Vec<(&'static str, u64)>,
}

impl Effects {
    fn add(&mut self, done: Done) {
        self.burned = self.burned.saturating_add(done.cycles_burned);
        if let Some(data) = done.new_certified_data {
            self.certified_data = Some(data);
        }
        if let Some(timer) = done.new_global_timer {
            self.global_timer = Some(timer);
        }
    }
}

/// The upgrade options this runtime can follow.
fn skip_pre_upgrade(flags: Option<UpgradeFlags>) -> Result<bool, UserError> {
    let Some(flags) = flags else {
        return Ok(false);
    };
    if flags.wasm_memory_persistence == Some(WasmMemoryPersistence::Keep) {
        return Err(UserError::new(
            ErrorCode::InvalidManagementPayload,
            "wasm_memory_persistence = keep is not supported by this local runtime",
        ));
    }
    Ok(flags.skip_pre_upgrade == Some(true))
}

/// Runs one entry point, as part of an installation.
fn run(
    canister: &mut Canister,
    entry: Entry,
    name: &'static str,
    env: &Env,
    arg: &[u8],
    effects: &mut Effects,
) -> Result<(), UserError> {
    let id = canister.id;
    let Some(code) = canister.code.as_mut() else {
        return Err(texts::no_module(id));
    };
    let env = Env {
        arg: arg.to_vec(),
        balance: env.balance.saturating_sub(effects.burned),
        instruction_limit: INSTALL_INSTRUCTIONS.saturating_sub(effects.instructions),
        certified_data: effects
            .certified_data
            .clone()
            .unwrap_or_else(|| env.certified_data.clone()),
        global_timer: effects.global_timer.unwrap_or(env.global_timer),
        ..env.clone()
    };
    let outcome = code.instance.execute(entry, env);
    effects.instructions = effects.instructions.saturating_add(outcome.instructions);
    effects.logs.extend(outcome.logs);
    effects.costs.push((name, outcome.instructions));
    match outcome.result {
        Ok(done) => {
            effects.add(done);
            Ok(())
        }
        Err(trap) => Err(install_error(id, &trap)),
    }
}

fn invalid_module(error: &CompileError) -> UserError {
    UserError::new(
        ErrorCode::CanisterInvalidWasm,
        format!("Canister's Wasm module is not valid: {error}"),
    )
}

fn install_error(id: Principal, trap: &Trap) -> UserError {
    texts::trapped(id, trap, INSTALL_INSTRUCTIONS)
}

impl Replica {
    pub(super) fn install_code(
        &mut self,
        caller: Principal,
        origin: &Origin,
        args: InstallCodeArgs,
    ) -> Result<(), UserError> {
        let id = args.canister_id;
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let mode = args.mode;
        match (mode, &canister.code) {
            (CanisterInstallMode::Install, Some(_)) => {
                return Err(UserError::new(
                    ErrorCode::CanisterNonEmpty,
                    format!(
                        "Canister {id} cannot be installed because the canister is not empty. Try installing with mode='reinstall' instead."
                    ),
                ));
            }
            _ if canister.install_debit > 0 => return Err(texts::rate_limited(id)),
            (CanisterInstallMode::Upgrade(_), None) => return Err(texts::no_module(id)),
            _ => {}
        }
        let skip_pre_upgrade = match mode {
            CanisterInstallMode::Upgrade(flags) => skip_pre_upgrade(flags)?,
            CanisterInstallMode::Install | CanisterInstallMode::Reinstall => false,
        };
        let prices = self.subnets[canister.subnet].prices;
        let balance_before = canister.balance;
        let prepaid = Canister::install_prepayment(prices);
        canister.withdraw(prices, prepaid).map_err(|missing| {
            let mut error = texts::out_of_cycles(id, Some(missing));
            error.message = format!("Canister installation failed with `{}`.", error.message);
            error
        })?;

        let mut effects = Effects::default();
        let result = self
            .engine
            .compile(&args.wasm_module)
            .map_err(|error| invalid_module(&error));
        let result = result.and_then(|module| {
            self.count_compilation(id, &module, &mut effects);
            let installation = Installation {
                caller,
                id,
                mode,
                skip_pre_upgrade,
                module: &module,
                arg: &args.arg,
            };
            self.exchange_code(&installation, &mut effects)?;
            Ok(module.hash())
        });

        let now = self.state_time;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id));
        };
        let fee = prices.execution(effects.instructions).min(prepaid);
        canister.balance = canister.balance.saturating_add(prepaid - fee);
        // System subnets install as often as they like.
        if prices.charges() {
            canister.install_debit = canister.install_debit.saturating_add(effects.instructions);
        }
        if matches!(mode, CanisterInstallMode::Reinstall) && result.is_ok() {
            canister.logs.clear();
        }
        canister.log(now, &effects.logs);
        let result = result.map(|module_hash| {
            canister.balance = canister.balance.saturating_sub(effects.burned);
            if let Some(data) = effects.certified_data {
                canister.certified_data = data;
            } else if !matches!(mode, CanisterInstallMode::Upgrade(_)) {
                canister.certified_data.clear();
            }
            canister.global_timer = effects.global_timer.unwrap_or(0);
            canister.version += 1;
            let record = CodeDeploymentRecord {
                mode: match mode {
                    CanisterInstallMode::Install => CodeDeploymentMode::Install,
                    CanisterInstallMode::Reinstall => CodeDeploymentMode::Reinstall,
                    CanisterInstallMode::Upgrade(_) => CodeDeploymentMode::Upgrade,
                },
                module_hash: module_hash.to_vec(),
            };
            canister.history.push(
                now,
                canister.version,
                change_origin(caller, origin),
                ChangeDetails::CodeDeployment(record),
            );
        });
        let cycles_after = canister.balance;
        for (entry, instructions) in effects.costs {
            self.record_cost(MessageCost {
                canister: id,
                entry: entry.to_string(),
                instructions,
                cycles_before: balance_before,
                cycles_after,
            });
        }
        result
    }

    /// Compiling counts as instructions; a module the subnet knows costs a hundredth.
    fn count_compilation(&mut self, id: Principal, module: &Module, effects: &mut Effects) {
        let Some(subnet) = self.canisters.get(&id).map(|canister| canister.subnet) else {
            return;
        };
        let known = !self.subnets[subnet].compiled.insert(module.hash());
        let price = if known {
            COMPILE_INSTRUCTIONS / 100
        } else {
            COMPILE_INSTRUCTIONS
        };
        let instructions = module.operators().saturating_mul(price);
        effects.instructions = effects.instructions.saturating_add(instructions);
        effects.costs.push(("compilation", instructions));
    }

    /// Puts the new code in place and runs what belongs to it; on failure everything is as before.
    fn exchange_code(
        &mut self,
        installation: &Installation<'_>,
        effects: &mut Effects,
    ) -> Result<(), UserError> {
        let engine = self.engine;
        let id = installation.id;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id));
        };
        let subnet = &self.subnets[canister.subnet];
        let env = Env {
            caller: installation.caller,
            ..environment(canister, subnet, &self.root_key, self.state_time)
        };
        if let CanisterInstallMode::Upgrade(_) = installation.mode {
            return upgrade(canister, engine, installation, &env, effects);
        }
        let module = installation.module;
        let instance =
            Instance::new(engine, module.clone()).map_err(|error| invalid_module(&error))?;
        let env = Env {
            certified_data: Vec::new(),
            global_timer: 0,
            ..env
        };
        let old = canister.code.replace(Code {
            instance,
            module: module.clone(),
        });
        let arg = installation.arg;
        run(canister, Entry::Init, "canister_init", &env, arg, effects)
            .inspect_err(|_| canister.code = old)
    }
}

fn upgrade(
    canister: &mut Canister,
    engine: &local_ic_engine::Engine,
    installation: &Installation<'_>,
    env: &Env,
    effects: &mut Effects,
) -> Result<(), UserError> {
    let id = canister.id;
    let module = installation.module;
    let Some(code) = canister.code.as_mut() else {
        return Err(texts::no_module(id));
    };
    let saved = code.instance.snapshot();
    let old_module = code.module.clone();
    let mut steps = || -> Result<(), UserError> {
        if !installation.skip_pre_upgrade {
            run(
                canister,
                Entry::PreUpgrade,
                "canister_pre_upgrade",
                env,
                &[],
                effects,
            )?;
        }
        let Some(code) = canister.code.as_mut() else {
            return Err(texts::no_module(id));
        };
        code.instance
            .upgrade(engine, module.clone())
            .map_err(|error| invalid_module(&error))?;
        code.module = module.clone();
        // The old code's timer ends with it.
        effects.global_timer = None;
        let env = Env {
            global_timer: 0,
            ..env.clone()
        };
        let (entry, name) = (Entry::PostUpgrade, "canister_post_upgrade");
        run(canister, entry, name, &env, installation.arg, effects)
    };
    let result = steps();
    if result.is_err()
        && let Some(code) = canister.code.as_mut()
    {
        code.instance.restore(saved);
        code.module = old_module;
    }
    result
}
