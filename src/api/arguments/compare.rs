//! Comparison of Candid types: whether a value of one type is decoded as another without loss.

use super::{
    Tolerance,
    describe::{self, describe, primitive},
};
use candid::types::{Field, Label, Type, TypeEnv, TypeInner};
use std::fmt;

/// What would be lost, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Begins with the method; empty for the only argument of an installation.
    path: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    OtherType { expected: String, found: String },
    UnknownTag { tag: String, known: String },
    UnknownMember { member: String, known: String },
    Missing { expected: String },
    LeftOut { expected: String },
    Surplus { given: usize, wanted: usize },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.as_str() {
            "" => "the argument",
            path => path,
        };
        write!(f, "{path}: ")?;
        match &self.problem {
            Problem::OtherType { expected, found } => {
                write!(f, "expected {expected}, found {found}")
            }
            Problem::UnknownTag { tag, known } => {
                write!(f, "unknown variant {tag}; known are {known}")
            }
            Problem::UnknownMember { member, known } => {
                write!(f, "unknown field {member}; known are {known}")
            }
            Problem::Missing { expected } => write!(f, "missing, expected {expected}"),
            Problem::LeftOut { expected } => {
                write!(f, "missing, expected {expected}; use null for none")
            }
            Problem::Surplus { given, wanted } => {
                write!(f, "too many arguments: found {given}, expected {wanted}")
            }
        }
    }
}

impl Mismatch {
    /// Adds `opt` to the types of the mismatch, because the wanted value is optional at this place, and so is the given
    /// one if `given`.
    fn of_optional(mut self, path: &str, given: bool) -> Self {
        if let Problem::OtherType { expected, found } = &mut self.problem
            && self.path == path
        {
            expected.insert_str(0, "opt ");
            if given {
                found.insert_str(0, "opt ");
            }
        }
        self
    }
}

/// The types of both sides, by name.
pub(super) struct Comparison<'a> {
    pub given: &'a TypeEnv,
    pub wanted: &'a TypeEnv,
    pub tolerance: Tolerance,
}

impl Comparison<'_> {
    /// `method`: the method of the arguments; empty for those of an installation.
    pub fn arguments(&self, method: &str, given: &[Type], wanted: &[Type]) -> Result<(), Mismatch> {
        let name = |index: usize| match (wanted.len(), method) {
            (0 | 1, _) => method.to_string(),
            (_, "") => format!("argument {}", index + 1),
            _ => format!("{method}, argument {}", index + 1),
        };
        for (index, wanted) in wanted.iter().enumerate() {
            let missing = |problem: fn(String) -> Problem| {
                Err(mismatch(&name(index), problem(self.expected(wanted))))
            };
            match given.get(index) {
                Some(given) => self.values(given, wanted, &name(index))?,
                None if self.tolerance.missing && self.is_optional(wanted) => {}
                None if self.is_optional(wanted) => {
                    return missing(|expected| Problem::LeftOut { expected });
                }
                None => return missing(|expected| Problem::Missing { expected }),
            }
        }
        let (given, wanted) = (given.len(), wanted.len());
        match given > wanted && !self.tolerance.unknown {
            true => Err(mismatch(method, Problem::Surplus { given, wanted })),
            false => Ok(()),
        }
    }

    /// Whether values of type `given` are decoded as `wanted` without loss. Each step descends in `wanted` as well,
    /// which is not recursive, so this ends for any `given`.
    fn values(&self, given: &Type, wanted: &Type, path: &str) -> Result<(), Mismatch> {
        use TypeInner as T;
        let (given_type, wanted_type) = (given, wanted);
        let other = || {
            let problem = Problem::OtherType {
                expected: self.expected(wanted_type),
                found: describe(self.given, describe::Names::Made, given_type),
            };
            mismatch(path, problem)
        };
        let given = self.given.trace_type(given).map_err(|_| other())?;
        let wanted = self.wanted.trace_type(wanted).map_err(|_| other())?;
        match (given.as_ref(), wanted.as_ref()) {
            // There is no such value, but there are empty vectors of them.
            (T::Empty, _) => Ok(()),
            (T::Null, T::Opt(_)) => Ok(()),
            (T::Opt(given), T::Opt(wanted)) => self
                .values(given, wanted, path)
                .map_err(|mismatch| mismatch.of_optional(path, true)),
            // A value for an optional one is decoded as that value, unless it is optional itself.
            (_, T::Opt(wanted)) if !self.is_optional(wanted) => self
                .values(&given, wanted, path)
                .map_err(|mismatch| mismatch.of_optional(path, false)),
            (T::Vec(given), T::Vec(wanted)) => {
                // The crate does not accept a vector of `empty` as a blob, although Candid does.
                let bytes = matches!(self.wanted.trace_type(wanted), Ok(t) if *t == T::Nat8);
                match bytes && **given != T::Nat8 {
                    true => Err(other()),
                    false => self.values(given, wanted, &format!("{path}[]")),
                }
            }
            (T::Record(given), T::Record(wanted)) => self.members(given, wanted, path),
            (T::Variant(given), T::Variant(wanted)) => self.tags(given, wanted, path),
            (T::Service(_), T::Principal) => Ok(()),
            // Only types without parts are compared as a whole: names in other types have different meanings on the two
            // sides.
            (given, wanted) if primitive(wanted).is_some() && given == wanted => Ok(()),
            _ => Err(other()),
        }
    }

    fn members(&self, given: &[Field], wanted: &[Field], path: &str) -> Result<(), Mismatch> {
        for Field { id, ty } in wanted {
            let path = below(path, id);
            match given.iter().find(|field| field.id == *id) {
                Some(field) => self.values(&field.ty, ty, &path)?,
                None if self.is_optional(ty) => {}
                None => {
                    let expected = self.expected(ty);
                    return Err(mismatch(&path, Problem::Missing { expected }));
                }
            }
        }
        let unknown = given
            .iter()
            .find(|field| !wanted.iter().any(|known| known.id == field.id));
        match unknown.filter(|_| !self.tolerance.unknown) {
            Some(unknown) => {
                let (member, known) = (self.label(&unknown.id), labels(wanted));
                Err(mismatch(path, Problem::UnknownMember { member, known }))
            }
            None => Ok(()),
        }
    }

    fn tags(&self, given: &[Field], wanted: &[Field], path: &str) -> Result<(), Mismatch> {
        for Field { id, ty } in given {
            match wanted.iter().find(|known| known.id == *id) {
                Some(known) => self.values(ty, &known.ty, &below(path, &known.id))?,
                None => {
                    let (tag, known) = (self.label(id), labels(wanted));
                    return Err(mismatch(path, Problem::UnknownTag { tag, known }));
                }
            }
        }
        Ok(())
    }

    fn expected(&self, wanted: &Type) -> String {
        describe(self.wanted, describe::Names::OfInterface, wanted)
    }

    /// The name of an unknown field, if it is known elsewhere in these arguments: the message has only the hash of it.
    fn label(&self, id: &Label) -> String {
        let fields = self.wanted.0.values().flat_map(|ty| match ty.as_ref() {
            TypeInner::Record(fields) | TypeInner::Variant(fields) => fields.as_slice(),
            _ => &[],
        });
        match fields.map(|field| &field.id).find(|known| ***known == *id) {
            Some(known) => known.to_string(),
            None => format!("with the id {}", id.get_id()),
        }
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

fn labels(fields: &[Field]) -> String {
    let labels: Vec<_> = fields.iter().map(|field| field.id.to_string()).collect();
    labels.join(", ")
}

fn below(path: &str, member: &dyn fmt::Display) -> String {
    match path {
        "" => member.to_string(),
        _ => format!("{path}.{member}"),
    }
}
