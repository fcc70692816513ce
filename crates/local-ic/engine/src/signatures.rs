//! The functions of the module `ic0` and their types.

use wasmparser::{FuncType, ValType};

/// Name, parameters, result; `i` is an i32 (an address or size in wasm32), `l` an i64.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("accept_message", "", ""),
    ("call_cycles_add", "l", ""),
    ("call_cycles_add128", "ll", ""),
    ("call_data_append", "ii", ""),
    ("call_new", "iiiiiiii", ""),
    ("call_on_cleanup", "ii", ""),
    ("call_perform", "", "i"),
    ("call_with_best_effort_response", "i", ""),
    ("canister_cycle_balance", "", "l"),
    ("canister_cycle_balance128", "i", ""),
    ("canister_liquid_cycle_balance128", "i", ""),
    ("canister_self_copy", "iii", ""),
    ("canister_self_size", "", "i"),
    ("canister_status", "", "i"),
    ("canister_version", "", "l"),
    ("certified_data_set", "ii", ""),
    ("cost_call", "lli", ""),
    ("cost_create_canister", "i", ""),
    ("cost_http_request", "lli", ""),
    ("cost_http_request_v2", "iii", ""),
    ("cost_sign_with_ecdsa", "iiii", "i"),
    ("cost_sign_with_schnorr", "iiii", "i"),
    ("cost_vetkd_derive_key", "iiii", "i"),
    ("cycles_burn128", "lli", ""),
    ("data_certificate_copy", "iii", ""),
    ("data_certificate_present", "", "i"),
    ("data_certificate_size", "", "i"),
    ("debug_print", "ii", ""),
    ("env_var_count", "", "i"),
    ("env_var_name_copy", "iiii", ""),
    ("env_var_name_exists", "ii", "i"),
    ("env_var_name_size", "i", "i"),
    ("env_var_value_copy", "iiiii", ""),
    ("env_var_value_size", "ii", "i"),
    ("global_timer_set", "l", "l"),
    ("in_replicated_execution", "", "i"),
    ("is_controller", "ii", "i"),
    ("mint_cycles128", "lli", ""),
    ("msg_arg_data_copy", "iii", ""),
    ("msg_arg_data_size", "", "i"),
    ("msg_caller_copy", "iii", ""),
    ("msg_caller_info_data_copy", "iii", ""),
    ("msg_caller_info_data_size", "", "i"),
    ("msg_caller_info_signer_copy", "iii", ""),
    ("msg_caller_info_signer_size", "", "i"),
    ("msg_caller_size", "", "i"),
    ("msg_cycles_accept", "l", "l"),
    ("msg_cycles_accept128", "lli", ""),
    ("msg_cycles_available", "", "l"),
    ("msg_cycles_available128", "i", ""),
    ("msg_cycles_refunded", "", "l"),
    ("msg_cycles_refunded128", "i", ""),
    ("msg_deadline", "", "l"),
    ("msg_method_name_copy", "iii", ""),
    ("msg_method_name_size", "", "i"),
    ("msg_reject", "ii", ""),
    ("msg_reject_code", "", "i"),
    ("msg_reject_msg_copy", "iii", ""),
    ("msg_reject_msg_size", "", "i"),
    ("msg_reply", "", ""),
    ("msg_reply_data_append", "ii", ""),
    ("performance_counter", "i", "l"),
    ("root_key_copy", "iii", ""),
    ("root_key_size", "", "i"),
    ("stable64_grow", "l", "l"),
    ("stable64_read", "lll", ""),
    ("stable64_size", "", "l"),
    ("stable64_write", "lll", ""),
    ("stable_grow", "i", "i"),
    ("stable_read", "iii", ""),
    ("stable_size", "", "i"),
    ("stable_write", "iii", ""),
    ("subnet_self_copy", "iii", ""),
    ("subnet_self_node_count", "", "i"),
    ("subnet_self_size", "", "i"),
    ("time", "", "l"),
    ("trap", "ii", ""),
];

/// The type of `ic0.<name>`, if there is such a function.
pub fn function_type(name: &str) -> Option<FuncType> {
    let (_, params, results) = FUNCTIONS
        .iter()
        .find(|(function, _, _)| *function == name)?;
    Some(FuncType::new(values(params), values(results)))
}

/// All names, in alphabetical order.
#[cfg(all(test, feature = "compiler"))]
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _, _)| *name)
}

fn values(letters: &str) -> impl Iterator<Item = ValType> + '_ {
    letters.chars().map(|letter| match letter {
        'i' => ValType::I32,
        _ => ValType::I64,
    })
}
