//! Hand-written modules, for what must be exact to the instruction.

/// The system functions a module may use, with their types.
const IMPORTS: &[(&str, &str)] = &[
    ("accept_message", ""),
    ("call_cycles_add128", "(param i64 i64)"),
    ("call_data_append", "(param i32 i32)"),
    ("call_new", "(param i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("call_on_cleanup", "(param i32 i32)"),
    ("call_perform", "(result i32)"),
    ("canister_cycle_balance128", "(param i32)"),
    ("canister_self_copy", "(param i32 i32 i32)"),
    ("canister_self_size", "(result i32)"),
    ("canister_status", "(result i32)"),
    ("canister_version", "(result i64)"),
    ("certified_data_set", "(param i32 i32)"),
    ("cost_call", "(param i64 i64 i32)"),
    ("data_certificate_present", "(result i32)"),
    ("debug_print", "(param i32 i32)"),
    ("global_timer_set", "(param i64) (result i64)"),
    ("in_replicated_execution", "(result i32)"),
    ("is_controller", "(param i32 i32) (result i32)"),
    ("msg_arg_data_copy", "(param i32 i32 i32)"),
    ("msg_arg_data_size", "(result i32)"),
    ("msg_caller_copy", "(param i32 i32 i32)"),
    ("msg_caller_size", "(result i32)"),
    ("msg_cycles_available128", "(param i32)"),
    ("msg_deadline", "(result i64)"),
    ("msg_reject", "(param i32 i32)"),
    ("msg_reply", ""),
    ("msg_reply_data_append", "(param i32 i32)"),
    ("performance_counter", "(param i32) (result i64)"),
    ("stable64_grow", "(param i64) (result i64)"),
    ("stable64_read", "(param i64 i64 i64)"),
    ("stable64_size", "(result i64)"),
    ("stable64_write", "(param i64 i64 i64)"),
    ("time", "(result i64)"),
    ("trap", "(param i32 i32)"),
];

/// Assembles a module: the imports that `body` names (as `$name`), then `body`.
pub fn module(body: &str) -> Vec<u8> {
    let imports: String = IMPORTS
        .iter()
        .filter(|(name, _)| names(body, name))
        .map(|(name, kind)| format!("(import \"ic0\" \"{name}\" (func ${name} {kind}))\n"))
        .collect();
    ::wat::parse_str(format!("(module {imports} {body})")).expect("the text is a module")
}

fn names(body: &str, name: &str) -> bool {
    let dollar = format!("${name}");
    body.match_indices(&dollar).any(|(at, _)| {
        let next = body[at + dollar.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// An update method of this name and body.
pub fn update(name: &str, body: &str) -> String {
    format!("(func (export \"canister_update {name}\") {body})\n")
}
