//! The functions of the module `ic0`.
//!
//! Each charges first, then checks that the running entry point may call it, then its arguments, as on
//! the Internet Computer. Instruction costs are those of facts C of crates/torture/README.md.

mod calls;
mod canister;
mod costs;
mod messages;
mod stable;
pub mod wide;

use crate::host::{Host, Result};
use crate::vm::Linker;

/// Instructions of a system call unless said otherwise.
const BASE: u64 = 500;
/// Instructions for each byte that leaves the canister.
const TRANSMITTED_BYTE: u64 = 50;

/// Defines every function of `ic0`.
pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    messages::link(linker)?;
    canister::link(linker)?;
    calls::link(linker)?;
    stable::link(linker)?;
    costs::link(linker)
}

/// `BASE` plus one for each byte copied.
fn copied(size: u32) -> u64 {
    BASE + u64::from(size)
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use crate::vm::{Engine, Store};
    use wasmtime::ExternType;

    #[test]
    fn should_define_exactly_the_functions_that_modules_may_import() {
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        link(&mut linker).expect("all functions link");
        check(&engine, &linker, false);
        let mut linker = Linker::new(&engine);
        wide::link(&engine, &mut linker).expect("all functions link");
        check(&engine, &linker, true);
    }

    fn check(engine: &Engine, linker: &Linker<Host>, wide: bool) {
        let mut store = Store::new(engine, Host::default());
        let mut defined: Vec<String> = linker
            .iter(&mut store)
            .map(|(_, name, _)| name.to_string())
            .collect();
        defined.sort();
        let listed = crate::signatures::functions(wide).map(|(name, _, _)| *name);
        assert_eq!(defined, listed.collect::<Vec<_>>());
        for name in defined {
            let ExternType::Func(actual) = linker
                .get(&mut store, "ic0", &name)
                .expect("defined")
                .ty(&store)
            else {
                panic!("{name} is a function");
            };
            let expected = crate::signatures::function_type(&name, wide).expect("listed");
            let types = |types: &[wasmparser::ValType]| {
                types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(
                (
                    actual.params().map(|ty| ty.to_string()).collect::<Vec<_>>(),
                    actual
                        .results()
                        .map(|ty| ty.to_string())
                        .collect::<Vec<_>>()
                ),
                (types(expected.params()), types(expected.results())),
                "{name}"
            );
        }
    }
}
