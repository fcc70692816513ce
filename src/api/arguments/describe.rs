//! Descriptions of Candid types for error messages.

use candid::types::{Type, TypeEnv, TypeInner};

/// The nesting depth that is described. A type in an argument may be infinite.
const DEPTH: usize = 4;

/// The origin of type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The interface: readers know them.
    OfInterface,
    /// Generated for the type indices of an argument.
    Made,
}

/// The type, without the parts of records and variants: `opt Account (record …)`.
pub(super) fn describe(types: &TypeEnv, names: Names, ty: &Type) -> String {
    to_depth(types, names, ty, DEPTH)
}

fn to_depth(types: &TypeEnv, names: Names, ty: &Type, depth: usize) -> String {
    use TypeInner as T;
    let Some(depth) = depth.checked_sub(1) else {
        return "…".into();
    };
    let name = match ty.as_ref() {
        T::Var(name) if names == Names::OfInterface => Some(name),
        _ => None,
    };
    let Ok(ty) = types.trace_type(ty) else {
        return "an infinite type".into();
    };
    let inner = |ty: &Type| to_depth(types, names, ty, depth);
    let is_byte = |ty: &Type| types.trace_type(ty).is_ok_and(|ty| *ty == T::Nat8);
    let kind = match ty.as_ref() {
        T::Opt(ty) => return format!("opt {}", inner(ty)),
        T::Vec(ty) if is_byte(ty) => return "blob".into(),
        T::Vec(ty) => return format!("vec {}", inner(ty)),
        T::Record(_) => "record …",
        T::Variant(_) => "variant …",
        T::Func(_) => "func",
        T::Service(_) => "service",
        T::Reserved => "reserved",
        T::Empty => "empty",
        other => primitive(other).unwrap_or("an unknown type"),
    };
    match name {
        Some(name) => format!("{name} ({kind})"),
        None => kind.into(),
    }
}

/// The name of a type that has no parts and whose values carry data.
pub(super) fn primitive(ty: &TypeInner) -> Option<&'static str> {
    use TypeInner as T;
    Some(match ty {
        T::Null => "null",
        T::Bool => "bool",
        T::Nat => "nat",
        T::Int => "int",
        T::Nat8 => "nat8",
        T::Nat16 => "nat16",
        T::Nat32 => "nat32",
        T::Nat64 => "nat64",
        T::Int8 => "int8",
        T::Int16 => "int16",
        T::Int32 => "int32",
        T::Int64 => "int64",
        T::Float32 => "float32",
        T::Float64 => "float64",
        T::Text => "text",
        T::Principal => "principal",
        _ => return None,
    })
}
