//! Arguments for each method of `canister.did`: valid ones, and ones that differ in one place. Unit tests decode them
//! with the canister's code, integration tests send them to the canister.

use candid::{
    IDLArgs,
    types::{
        Field, Label, Type, TypeEnv, TypeInner,
        value::{IDLField, IDLValue, VariantValue},
    },
};
use candid_parser::utils::CandidSource;

const CANISTER_DID: &str = include_str!("../../../canister.did");

/// A method, or the installation.
pub struct Method {
    pub name: String,
    pub is_query: bool,
    pub types: Vec<Type>,
}

/// The content of `canister.did`.
pub struct Interface {
    pub names: TypeEnv,
    pub installation: Method,
    pub methods: Vec<Method>,
}

/// An argument that differs in one place, and the place.
pub struct Bent {
    pub path: String,
    pub argument: Vec<u8>,
}

pub fn interface() -> Interface {
    let (names, service) = CandidSource::Text(CANISTER_DID).load().expect("Candid");
    let service = service.expect("a service");
    let TypeInner::Class(types, service) = service.as_ref() else {
        panic!("an installation without arguments");
    };
    let methods = names.as_service(service).expect("methods");
    let methods = methods.iter().map(|(name, method)| {
        let method = names.as_func(method).expect("a method");
        Method {
            name: name.clone(),
            is_query: method.is_query(),
            types: method.args.clone(),
        }
    });
    let installation = Method {
        name: "installation".into(),
        is_query: false,
        types: types.clone(),
    };
    Interface {
        installation,
        methods: methods.collect(),
        names: names.clone(),
    }
}

/// The replacements for the value at a place; none for places of other kinds.
type Bend<'a> = &'a dyn Fn(&Interface, &Type) -> Vec<IDLValue>;

impl Interface {
    fn resolved(&self, ty: &Type) -> Type {
        self.names.trace_type(ty).expect("a known type")
    }

    /// An argument with a value at every place.
    pub fn right(&self, method: &Method) -> Vec<u8> {
        let values = method.types.iter().map(|ty| self.value(ty));
        encode(values.collect())
    }

    /// One for every optional place, at any depth, with each kind of value that is of another type.
    pub fn mistyped(&self, method: &Method) -> Vec<Bent> {
        self.bent(method, &|interface, ty| match ty.as_ref() {
            TypeInner::Opt(inner) => interface.wrong(inner),
            _ => vec![],
        })
    }

    /// One for every record, at any depth, with a field that is not in `canister.did`.
    pub fn misspelt(&self, method: &Method) -> Vec<Bent> {
        self.bent(method, &|interface, ty| match ty.as_ref() {
            TypeInner::Record(_) => {
                let IDLValue::Record(mut members) = interface.value(ty) else {
                    unreachable!("a record");
                };
                members.push(member(&Label::Named("misspelt".into()), IDLValue::Null));
                members.sort_by_key(|member| member.id.get_id());
                vec![IDLValue::Record(members)]
            }
            _ => vec![],
        })
    }

    fn bent(&self, method: &Method, bend: Bend) -> Vec<Bent> {
        let right: Vec<_> = method.types.iter().map(|ty| self.value(ty)).collect();
        let mut all = vec![];
        for (index, ty) in method.types.iter().enumerate() {
            let mut places = vec![];
            self.places(ty, "", bend, &mut places);
            all.extend(places.into_iter().map(|(path, value)| {
                let mut values = right.clone();
                values[index] = value;
                let argument = encode(values);
                Bent { path, argument }
            }));
        }
        all
    }

    /// All values of type `ty` that differ in one place from the valid one.
    fn places(&self, ty: &Type, path: &str, bend: Bend, to: &mut Vec<(String, IDLValue)>) {
        let ty = self.resolved(ty);
        to.extend(
            bend(self, &ty)
                .into_iter()
                .map(|value| (path.to_string(), value)),
        );
        let mut inner = vec![];
        match ty.as_ref() {
            TypeInner::Opt(ty) => {
                self.places(ty, path, bend, &mut inner);
                to.extend(
                    inner
                        .into_iter()
                        .map(|(path, value)| (path, IDLValue::Opt(value.into()))),
                );
            }
            TypeInner::Vec(ty) => {
                self.places(ty, &format!("{path}[]"), bend, &mut inner);
                to.extend(
                    inner
                        .into_iter()
                        .map(|(path, value)| (path, IDLValue::Vec(vec![value]))),
                );
            }
            TypeInner::Record(fields) => {
                for (index, field) in fields.iter().enumerate() {
                    let mut inner = vec![];
                    self.places(&field.ty, &below(path, &field.id), bend, &mut inner);
                    to.extend(inner.into_iter().map(|(path, value)| {
                        let mut members = self.members(fields);
                        members[index].val = value;
                        (path, IDLValue::Record(members))
                    }));
                }
            }
            TypeInner::Variant(tags) => {
                for tag in tags {
                    let mut inner = vec![];
                    self.places(&tag.ty, &below(path, &tag.id), bend, &mut inner);
                    to.extend(
                        inner
                            .into_iter()
                            .map(|(path, value)| (path, variant(&tag.id, value))),
                    );
                }
            }
            _ => {}
        }
    }

    fn members(&self, fields: &[Field]) -> Vec<IDLField> {
        let member = |field: &Field| member(&field.id, self.value(&field.ty));
        fields.iter().map(member).collect()
    }

    fn value(&self, ty: &Type) -> IDLValue {
        match self.resolved(ty).as_ref() {
            TypeInner::Null => IDLValue::Null,
            TypeInner::Bool => IDLValue::Bool(true),
            TypeInner::Nat => IDLValue::Nat(7_u8.into()),
            TypeInner::Nat8 => IDLValue::Nat8(7),
            TypeInner::Nat16 => IDLValue::Nat16(7),
            TypeInner::Nat32 => IDLValue::Nat32(7),
            TypeInner::Nat64 => IDLValue::Nat64(7),
            TypeInner::Int16 => IDLValue::Int16(7),
            TypeInner::Text => IDLValue::Text("text".into()),
            TypeInner::Principal => IDLValue::Principal(candid::Principal::management_canister()),
            TypeInner::Opt(ty) => IDLValue::Opt(self.value(ty).into()),
            TypeInner::Vec(ty) if *self.resolved(ty) == TypeInner::Nat8 => {
                IDLValue::Blob(vec![7; 32])
            }
            TypeInner::Vec(ty) => IDLValue::Vec(vec![self.value(ty)]),
            TypeInner::Record(fields) => IDLValue::Record(self.members(fields)),
            TypeInner::Variant(tags) => variant(&tags[0].id, self.value(&tags[0].ty)),
            other => panic!("no argument is {other}"),
        }
    }

    /// Values that Candid decodes as absent where an optional one of type `ty` is expected.
    fn wrong(&self, ty: &Type) -> Vec<IDLValue> {
        let ty = self.resolved(ty);
        let right = self.value(&ty);
        let opt = |value: IDLValue| IDLValue::Opt(value.into());
        let mut wrong = vec![
            IDLValue::Float32(7.0),
            opt(IDLValue::Float32(7.0)),
            opt(IDLValue::Number("7".into())),
            opt(opt(right.clone())),
            opt(IDLValue::Vec(vec![right])),
            opt(IDLValue::Reserved),
        ];
        if *ty != TypeInner::Text {
            wrong.push(opt(IDLValue::Text("text".into())));
        }
        match ty.as_ref() {
            TypeInner::Variant(_) => {
                wrong.push(opt(variant(
                    &Label::Named("unheard_of".into()),
                    IDLValue::Null,
                )));
            }
            // A required field is missing.
            TypeInner::Record(fields) => {
                let needed =
                    |field: &Field| !matches!(*self.resolved(&field.ty), TypeInner::Opt(_));
                if fields.iter().any(needed) {
                    wrong.push(opt(IDLValue::Record(vec![])));
                }
            }
            TypeInner::Vec(inner) if *self.resolved(inner) == TypeInner::Nat8 => {
                let byte = IDLValue::Number("7".into());
                wrong.push(opt(IDLValue::Vec(vec![byte])));
                wrong.push(opt(IDLValue::Vec(vec![])));
            }
            _ => {}
        }
        wrong
    }
}

fn below(path: &str, label: &Label) -> String {
    match path {
        "" => label.to_string(),
        _ => format!("{path}.{label}"),
    }
}

fn member(id: &Label, val: IDLValue) -> IDLField {
    IDLField {
        id: id.clone(),
        val,
    }
}

fn variant(tag: &Label, value: IDLValue) -> IDLValue {
    IDLValue::Variant(VariantValue(Box::new(member(tag, value)), 0))
}

fn encode(args: Vec<IDLValue>) -> Vec<u8> {
    IDLArgs { args }.to_bytes().expect("can be encoded")
}
