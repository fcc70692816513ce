//! The lists `ALL` of enums: storage numbers a variant by its place in the list, so a variant without one cannot be
//! stored.

use crate::sources::ModulePath;
use syn::{Expr, Ident, ImplItem, Item, Type};

/// The variants that the list `ALL` of their enum does not name. Enums without such a list have none.
pub fn gaps(module: &ModulePath, items: &[Item]) -> Vec<String> {
    let mut gaps = Vec::new();
    for item in items {
        let Item::Enum(of) = item else { continue };
        let Some(listed) = listed(&of.ident, items) else {
            continue;
        };
        let missing = of
            .variants
            .iter()
            .filter(|variant| !listed.contains(&variant.ident));
        gaps.extend(missing.map(|variant| {
            let (module, name) = (module.join("::"), &of.ident);
            format!("{module}::{name}::ALL lacks {}", variant.ident)
        }));
    }
    gaps
}

/// The variants in the constant `ALL` of this enum, if it has one.
fn listed(of: &Ident, items: &[Item]) -> Option<Vec<Ident>> {
    let own = items.iter().filter_map(|item| match item {
        Item::Impl(own) if own.trait_.is_none() => Some(own),
        _ => None,
    });
    let own = own.filter(|own| matches!(&*own.self_ty, Type::Path(path) if path.path.is_ident(of)));
    let list = own.flat_map(|own| &own.items).find_map(|item| match item {
        ImplItem::Const(list) if list.ident == "ALL" => Some(&list.expr),
        _ => None,
    })?;
    let Expr::Array(list) = list else {
        panic!("{of}::ALL is not an array of variants");
    };
    Some(list.elems.iter().filter_map(variant).collect())
}

fn variant(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
        Expr::Call(call) => variant(&call.func),
        _ => None,
    }
}
