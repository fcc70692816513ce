//! From an entry point to what runs in the wasm instance.

use crate::mode::Mode;
use crate::module::Module;
use crate::types::{Entry, Trap};

/// Callback number of a one-way call.
const NO_CALLBACK: u32 = u32::MAX;

/// What an entry point means for the wasm instance.
pub enum Target {
    Export(String),
    /// A function in table 0 and its argument.
    Table(u32, u32),
    Nothing,
}

/// The mode in which `entry` runs and what it runs.
///
/// # Errors
/// If `module` has no such method.
pub fn resolve(module: &Module, entry: &Entry) -> Result<(Mode, Target), Trap> {
    let method = |exists: bool, kind: &str, what: &str, name: &str| {
        if exists {
            Ok(Target::Export(format!("canister_{kind} {name}")))
        } else {
            Err(Trap::MethodNotFound(format!(
                "Canister has no {what} method '{name}'"
            )))
        }
    };
    let query = |name: &str| method(module.has_query(name), "query", "query", name);
    let system = |name: &str| {
        if module.has_system(name) {
            Target::Export(name.to_string())
        } else {
            Target::Nothing
        }
    };
    let callback = |fun: u32, env: u32| {
        if fun == NO_CALLBACK {
            Target::Nothing
        } else {
            Target::Table(fun, env)
        }
    };
    let either = |composite: bool, yes: Mode, no: Mode| if composite { yes } else { no };
    Ok(match entry {
        Entry::Init => (Mode::Init, system("canister_init")),
        Entry::PostUpgrade => (Mode::Init, system("canister_post_upgrade")),
        Entry::PreUpgrade => (Mode::PreUpgrade, system("canister_pre_upgrade")),
        Entry::GlobalTimer => (Mode::SystemTask, system("canister_global_timer")),
        Entry::Heartbeat => (Mode::SystemTask, system("canister_heartbeat")),
        Entry::InspectMessage { .. } => (Mode::InspectMessage, system("canister_inspect_message")),
        Entry::Update(name) => (
            Mode::Update,
            method(module.has_update(name), "update", "update", name)?,
        ),
        Entry::Query(name) | Entry::Transform(name) => (Mode::Query, query(name)?),
        Entry::ReplicatedQuery(name) => (Mode::ReplicatedQuery, query(name)?),
        Entry::CompositeQuery(name) => (
            Mode::CompositeQuery,
            method(
                module.has_composite_query(name),
                "composite_query",
                "composite query",
                name,
            )?,
        ),
        Entry::ReplyCallback {
            fun,
            env,
            composite,
        } => (
            either(
                *composite,
                Mode::CompositeReplyCallback,
                Mode::ReplyCallback,
            ),
            callback(*fun, *env),
        ),
        Entry::RejectCallback {
            fun,
            env,
            composite,
            ..
        } => (
            either(
                *composite,
                Mode::CompositeRejectCallback,
                Mode::RejectCallback,
            ),
            callback(*fun, *env),
        ),
        Entry::Cleanup {
            fun,
            env,
            composite,
        } => (
            either(*composite, Mode::CompositeCleanup, Mode::Cleanup),
            callback(*fun, *env),
        ),
    })
}
