//! The functions of the module `ic0` and their types.

use wasmparser::{FuncType, ValType};

/// A function: name, parameters, result. `a` is an address, a size or what belongs to a callback: an i32, and an i64 where
/// memory has 64-bit addresses. `i` is an i32, `l` an i64.
type Function = (&'static str, &'static str, &'static str);

const FUNCTIONS: &[Function] = &[
    ("accept_message", "", ""),
    ("call_cycles_add", "l", ""),
    ("call_cycles_add128", "ll", ""),
    ("call_data_append", "aa", ""),
    ("call_new", "aaaaaaaa", ""),
    ("call_on_cleanup", "aa", ""),
    ("call_perform", "", "i"),
    ("call_with_best_effort_response", "i", ""),
    ("canister_cycle_balance", "", "l"),
    ("canister_cycle_balance128", "a", ""),
    ("canister_liquid_cycle_balance128", "a", ""),
    ("canister_self_copy", "aaa", ""),
    ("canister_self_size", "", "a"),
    ("canister_status", "", "i"),
    ("canister_version", "", "l"),
    ("certified_data_set", "aa", ""),
    ("cost_call", "lla", ""),
    ("cost_create_canister", "a", ""),
    ("cost_http_request", "lla", ""),
    ("cost_http_request_v2", "aaa", ""),
    ("cost_sign_with_ecdsa", "aaia", "i"),
    ("cost_sign_with_schnorr", "aaia", "i"),
    ("cost_vetkd_derive_key", "aaia", "i"),
    ("cycles_burn128", "lla", ""),
    ("data_certificate_copy", "aaa", ""),
    ("data_certificate_present", "", "i"),
    ("data_certificate_size", "", "a"),
    ("debug_print", "aa", ""),
    ("env_var_count", "", "a"),
    ("env_var_name_copy", "aaaa", ""),
    ("env_var_name_exists", "aa", "i"),
    ("env_var_name_size", "a", "a"),
    ("env_var_value_copy", "aaaaa", ""),
    ("env_var_value_size", "aa", "a"),
    ("global_timer_set", "l", "l"),
    ("in_replicated_execution", "", "i"),
    ("is_controller", "aa", "i"),
    ("mint_cycles128", "lla", ""),
    ("msg_arg_data_copy", "aaa", ""),
    ("msg_arg_data_size", "", "a"),
    ("msg_caller_copy", "aaa", ""),
    ("msg_caller_info_data_copy", "aaa", ""),
    ("msg_caller_info_data_size", "", "a"),
    ("msg_caller_info_signer_copy", "aaa", ""),
    ("msg_caller_info_signer_size", "", "a"),
    ("msg_caller_size", "", "a"),
    ("msg_cycles_accept", "l", "l"),
    ("msg_cycles_accept128", "lla", ""),
    ("msg_cycles_available", "", "l"),
    ("msg_cycles_available128", "a", ""),
    ("msg_cycles_refunded", "", "l"),
    ("msg_cycles_refunded128", "a", ""),
    ("msg_deadline", "", "l"),
    ("msg_method_name_copy", "aaa", ""),
    ("msg_method_name_size", "", "a"),
    ("msg_reject", "aa", ""),
    ("msg_reject_code", "", "i"),
    ("msg_reject_msg_copy", "aaa", ""),
    ("msg_reject_msg_size", "", "a"),
    ("msg_reply", "", ""),
    ("msg_reply_data_append", "aa", ""),
    ("performance_counter", "i", "l"),
    ("root_key_copy", "aaa", ""),
    ("root_key_size", "", "a"),
    ("stable64_grow", "l", "l"),
    ("stable64_read", "lll", ""),
    ("stable64_size", "", "l"),
    ("stable64_write", "lll", ""),
    ("stable_grow", "i", "i"),
    ("stable_read", "iii", ""),
    ("stable_size", "", "i"),
    ("stable_write", "iii", ""),
    ("subnet_self_copy", "aaa", ""),
    ("subnet_self_node_count", "", "i"),
    ("subnet_self_size", "", "a"),
    ("time", "", "l"),
    ("trap", "aa", ""),
];

/// The functions that a module may import; `wide`: one whose memory has 64-bit addresses.
pub fn functions(wide: bool) -> impl Iterator<Item = &'static Function> {
    // What knows 4 GiB of stable memory is older than 64-bit addresses.
    let all = FUNCTIONS.iter();
    all.filter(move |(name, _, _)| !(wide && name.starts_with("stable_")))
}

/// The type of `ic0.<name>`, if there is such a function.
pub fn function_type(name: &str, wide: bool) -> Option<FuncType> {
    let (_, params, results) = functions(wide).find(|(function, _, _)| *function == name)?;
    Some(FuncType::new(values(params, wide), values(results, wide)))
}

fn values(letters: &str, wide: bool) -> impl Iterator<Item = ValType> + '_ {
    letters.chars().map(move |letter| match letter {
        'i' => ValType::I32,
        'a' if !wide => ValType::I32,
        _ => ValType::I64,
    })
}
