//! Whether a value of one Candid type is read whole as a value of another.

use super::Tolerance;
use candid::types::{Field, Type, TypeEnv, TypeInner};
use std::fmt;

/// What would be lost, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// From the top of the arguments; empty for the only argument itself.
    path: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    OtherType,
    UnknownTag(String),
    UnknownMember(String),
    Missing,
    LeftOut,
    Surplus,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "the argument",
            path => path,
        };
        match &self.problem {
            Problem::OtherType => write!(f, "{path} is of another type than in canister.did"),
            Problem::UnknownTag(tag) => {
                write!(f, "{path} has a tag ({tag}) that is not in canister.did")
            }
            Problem::UnknownMember(member) => {
                write!(
                    f,
                    "{path} has a member ({member}) that is not in canister.did"
                )
            }
            Problem::Missing => write!(f, "{path} is missing"),
            Problem::LeftOut => write!(f, "{path} is missing; null says that there is none"),
            Problem::Surplus => write!(f, "there are more arguments than in canister.did"),
        }
    }
}

/// The types of both sides, by name.
pub(super) struct Comparison<'a> {
    pub given: &'a TypeEnv,
    pub wanted: &'a TypeEnv,
    pub tolerance: Tolerance,
}

impl Comparison<'_> {
    pub fn arguments(&self, given: &[Type], wanted: &[Type]) -> Result<(), Mismatch> {
        let name = |index: usize| match wanted.len() {
            0 | 1 => String::new(),
            _ => format!("argument {}", index + 1),
        };
        for (index, wanted) in wanted.iter().enumerate() {
            match given.get(index) {
                Some(given) => self.values(given, wanted, &name(index))?,
                None if self.tolerance.missing && self.is_optional(wanted) => {}
                None if self.is_optional(wanted) => {
                    return Err(mismatch(&name(index), Problem::LeftOut));
                }
                None => return Err(mismatch(&name(index), Problem::Missing)),
            }
        }
        match given.len() > wanted.len() && !self.tolerance.unknown {
            true => Err(mismatch("", Problem::Surplus)),
            false => Ok(()),
        }
    }

    /// Whether values of type `given` are read whole as `wanted`. Each step goes down in `wanted` as well, which is
    /// not recursive, so this ends whatever `given` is.
    fn values(&self, given: &Type, wanted: &Type, path: &str) -> Result<(), Mismatch> {
        use TypeInner as T;
        let other = || mismatch(path, Problem::OtherType);
        let given = self.given.trace_type(given).map_err(|_| other())?;
        let wanted = self.wanted.trace_type(wanted).map_err(|_| other())?;
        match (given.as_ref(), wanted.as_ref()) {
            // There is no such value, but there are empty vectors of them.
            (T::Empty, _) => Ok(()),
            (T::Null, T::Opt(_)) => Ok(()),
            (T::Opt(given), T::Opt(wanted)) => self.values(given, wanted, path),
            // A value for an optional one is read as that value, unless it is optional in turn.
            (_, T::Opt(wanted)) if !self.is_optional(wanted) => self.values(&given, wanted, path),
            (T::Vec(given), T::Vec(wanted)) => {
                // The crate does not take a vector of nothing for a blob, although Candid does.
                let bytes = matches!(self.wanted.trace_type(wanted), Ok(t) if *t == T::Nat8);
                match bytes && **given != T::Nat8 {
                    true => Err(other()),
                    false => self.values(given, wanted, &format!("{path}[]")),
                }
            }
            (T::Record(given), T::Record(wanted)) => self.members(given, wanted, path),
            (T::Variant(given), T::Variant(wanted)) => self.tags(given, wanted, path),
            (T::Service(_), T::Principal) => Ok(()),
            (given, wanted) if is_primitive(wanted) && given == wanted => Ok(()),
            _ => Err(other()),
        }
    }

    fn members(&self, given: &[Field], wanted: &[Field], path: &str) -> Result<(), Mismatch> {
        for Field { id, ty } in wanted {
            let path = below(path, id);
            match given.iter().find(|field| field.id == *id) {
                Some(field) => self.values(&field.ty, ty, &path)?,
                None if self.is_optional(ty) => {}
                None => return Err(mismatch(&path, Problem::Missing)),
            }
        }
        let unknown = given
            .iter()
            .find(|field| !wanted.iter().any(|known| known.id == field.id));
        match unknown.filter(|_| !self.tolerance.unknown) {
            Some(unknown) => Err(mismatch(
                path,
                Problem::UnknownMember(unknown.id.to_string()),
            )),
            None => Ok(()),
        }
    }

    fn tags(&self, given: &[Field], wanted: &[Field], path: &str) -> Result<(), Mismatch> {
        for Field { id, ty } in given {
            match wanted.iter().find(|known| known.id == *id) {
                Some(known) => self.values(ty, &known.ty, &below(path, &known.id))?,
                None => return Err(mismatch(path, Problem::UnknownTag(id.to_string()))),
            }
        }
        Ok(())
    }

    fn is_optional(&self, wanted: &Type) -> bool {
        let wanted = self.wanted.trace_type(wanted);
        wanted.is_ok_and(|wanted| {
            matches!(
                wanted.as_ref(),
                TypeInner::Opt(_) | TypeInner::Null | TypeInner::Reserved
            )
        })
    }
}

fn mismatch(path: &str, problem: Problem) -> Mismatch {
    Mismatch {
        path: path.into(),
        problem,
    }
}

fn below(path: &str, member: &dyn fmt::Display) -> String {
    match path {
        "" => member.to_string(),
        _ => format!("{path}.{member}"),
    }
}

/// Whether a type has no parts. Only such types are compared as a whole: the names in others mean different things
/// on the two sides.
fn is_primitive(wanted: &TypeInner) -> bool {
    use TypeInner as T;
    matches!(
        wanted,
        T::Null
            | T::Bool
            | T::Nat
            | T::Int
            | T::Nat8
            | T::Nat16
            | T::Nat32
            | T::Nat64
            | T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::Float32
            | T::Float64
            | T::Text
            | T::Principal
    )
}
