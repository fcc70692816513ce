//! Unpacks and validates a canister module and collects what the runtime must know about it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use wasmparser::{
    ExternalKind, FuncType, FunctionBody, Operator, Parser, Payload, TypeRef, ValType, Validator,
    WasmFeatures,
};

use crate::error::CompileError;
use crate::signatures;
use crate::types::CustomSection;

const MAX_WASM_BYTES: u64 = 100 << 20;
const MAX_CODE_SECTION_BYTES: usize = 12 << 20;
const MAX_FUNCTIONS: usize = 50_000;
const MAX_GLOBALS: usize = 1_000;
const MAX_CUSTOM_SECTIONS: usize = 16;
const MAX_CUSTOM_SECTION_BYTES: usize = 1 << 20;
const MAX_METHODS: usize = 1_000;
const MAX_METHOD_NAME_BYTES: usize = 20_000;
const SYSTEM_METHODS: &[&str] = &[
    "canister_init",
    "canister_pre_upgrade",
    "canister_post_upgrade",
    "canister_inspect_message",
    "canister_heartbeat",
    "canister_global_timer",
];

/// What a canister's module offers.
#[derive(Debug, Default, Clone)]
pub struct Methods {
    pub updates: BTreeSet<String>,
    pub queries: BTreeSet<String>,
    pub composite_queries: BTreeSet<String>,
    pub system: BTreeSet<String>,
}

/// A validated module, split up for rewriting.
pub struct Parsed<'a> {
    /// Raw content by section number, without code and custom sections.
    pub sections: BTreeMap<u8, &'a [u8]>,
    pub bodies: Vec<FunctionBody<'a>>,
    /// Number of parameters of each function defined here.
    pub parameters: Vec<u32>,
    pub export_count: u32,
    pub global_count: u32,
    pub mutable_globals: Vec<u32>,
    pub has_memory: bool,
    /// Whether its addresses have 64 bits.
    pub wide: bool,
    /// Of each table whether its indices have 64 bits.
    pub wide_tables: Vec<bool>,
    /// Whether table 0 holds functions.
    pub has_function_table: bool,
    pub start: Option<u32>,
    pub methods: Methods,
    pub custom_sections: Vec<CustomSection>,
    /// Whether running the code changes state that only a new instance resets (tables, dropped segments).
    pub needs_new_instances: bool,
    /// Operators of all function bodies, `end` included.
    pub operators: u64,
}

/// The module's bytes, unpacked if they are gzipped.
pub fn unpack(bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes)
            .take(MAX_WASM_BYTES + 1)
            .read_to_end(&mut unpacked)
            .map_err(|error| CompileError::Gzip(error.to_string()))?;
        if unpacked.len() as u64 > MAX_WASM_BYTES {
            return Err(CompileError::TooLarge {
                limit: MAX_WASM_BYTES,
            });
        }
        Ok(unpacked)
    } else if bytes.starts_with(b"\0asm") {
        Ok(bytes.to_vec())
    } else {
        Err(CompileError::UnsupportedFormat)
    }
}

fn features(wide: bool) -> WasmFeatures {
    let features = WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::CALL_INDIRECT_OVERLONG;
    match wide {
        true => features | WasmFeatures::MEMORY64,
        false => features,
    }
}

/// Whether a module has a memory with 64-bit addresses; its imports, which come first, have other types then.
fn is_wide(wasm: &[u8]) -> bool {
    let mut payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    payloads.any(|payload| match payload {
        Payload::MemorySection(memories) => {
            let mut memories = memories.into_iter().map_while(Result::ok);
            memories.any(|memory| memory.memory64)
        }
        _ => false,
    })
}

fn invalid(error: wasmparser::Error) -> CompileError {
    CompileError::Invalid(error.to_string())
}

/// Validates `wasm` as the Internet Computer does.
pub fn parse(wasm: &[u8]) -> Result<Parsed<'_>, CompileError> {
    let wide = is_wide(wasm);
    Validator::new_with_features(features(wide))
        .validate_all(wasm)
        .map_err(invalid)?;
    let mut parsed = Parsed {
        sections: BTreeMap::new(),
        bodies: Vec::new(),
        parameters: Vec::new(),
        export_count: 0,
        global_count: 0,
        mutable_globals: Vec::new(),
        has_memory: false,
        wide,
        wide_tables: Vec::new(),
        has_function_table: false,
        start: None,
        methods: Methods::default(),
        custom_sections: Vec::new(),
        needs_new_instances: false,
        operators: 0,
    };
    let mut types: Vec<Option<FuncType>> = Vec::new();
    // Type index of every function, imported ones first.
    let mut functions: Vec<u32> = Vec::new();
    let mut imported = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(invalid)?;
        if let Some((id, range)) = payload.as_section()
            && !matches!(
                payload,
                Payload::CustomSection(_) | Payload::CodeSectionStart { .. }
            )
        {
            parsed.sections.insert(id, &wasm[range]);
        }
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group.map_err(invalid)?.into_types() {
                        types.push(match ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    functions.push(check_import(&import, &types, wide)?);
                    imported += 1;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty.map_err(invalid)?);
                }
                limit("functions", functions.len() - imported, MAX_FUNCTIONS)?;
            }
            Payload::TableSection(section) => {
                for (index, table) in section.into_iter().enumerate() {
                    let ty = table.map_err(invalid)?.ty;
                    parsed.has_function_table |= index == 0 && ty.element_type.is_func_ref();
                    parsed.wide_tables.push(ty.table64);
                }
            }
            Payload::MemorySection(section) => parsed.has_memory = section.count() > 0,
            Payload::GlobalSection(section) => {
                parsed.global_count = section.count();
                limit("globals", section.count() as usize, MAX_GLOBALS)?;
                for (index, global) in section.into_iter().enumerate() {
                    let ty = global.map_err(invalid)?.ty;
                    if !matches!(
                        ty.content_type,
                        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
                    ) {
                        return Err(CompileError::Invalid(format!(
                            "unsupported global type: {:?}",
                            ty.content_type
                        )));
                    }
                    if ty.mutable {
                        parsed.mutable_globals.push(index as u32);
                    }
                }
            }
            Payload::ExportSection(section) => {
                parsed.export_count = section.count();
                for export in section {
                    let export = export.map_err(invalid)?;
                    let signature = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => functions
                            .get(export.index as usize)
                            .and_then(|ty| types.get(*ty as usize))
                            .and_then(Option::as_ref),
                        _ => None,
                    };
                    collect_export(&mut parsed.methods, export.name, signature)?;
                }
                check_methods(&parsed.methods)?;
            }
            Payload::StartSection { func, .. } => parsed.start = Some(func),
            Payload::CodeSectionStart { range, .. } => {
                limit("bytes of code", range.len(), MAX_CODE_SECTION_BYTES)?
            }
            Payload::CodeSectionEntry(body) => {
                let ty = functions[imported + parsed.bodies.len()];
                let parameters = types
                    .get(ty as usize)
                    .and_then(Option::as_ref)
                    .map_or(0, |function| function.params().len());
                parsed.parameters.push(parameters as u32);
                count_operators(&body, &mut parsed)?;
                parsed.bodies.push(body);
            }
            Payload::CustomSection(section) => {
                collect_custom_section(&mut parsed.custom_sections, section.name(), section.data())?
            }
            _ => {}
        }
    }
    Ok(parsed)
}

fn limit(what: &'static str, defined: usize, allowed: usize) -> Result<(), CompileError> {
    if defined > allowed {
        return Err(CompileError::TooMany {
            what,
            defined,
            allowed,
        });
    }
    Ok(())
}

/// The type index of an imported function that a canister may import.
fn check_import(
    import: &wasmparser::Import<'_>,
    types: &[Option<FuncType>],
    wide: bool,
) -> Result<u32, CompileError> {
    let TypeRef::Func(ty) = import.ty else {
        return Err(CompileError::Import(format!(
            "Importing anything but functions is not allowed: '{}' from '{}'.",
            import.name, import.module
        )));
    };
    if import.module != "ic0" {
        return Err(CompileError::Import(format!(
            "Module imports function '{}' from '{}' that is not exported by the runtime.",
            import.name, import.module
        )));
    }
    let Some(expected) = signatures::function_type(import.name, wide) else {
        return Err(CompileError::Import(format!(
            "Module imports function '{}' from 'ic0' that is not exported by the runtime.",
            import.name
        )));
    };
    match types.get(ty as usize) {
        Some(Some(actual)) if *actual == expected => Ok(ty),
        _ => Err(CompileError::Import(format!(
            "Function 'ic0.{}' is imported with the wrong type.",
            import.name
        ))),
    }
}

fn collect_export(
    methods: &mut Methods,
    name: &str,
    signature: Option<&FuncType>,
) -> Result<(), CompileError> {
    let Some(signature) = signature else {
        return Ok(());
    };
    let added = if let Some(method) = name.strip_prefix("canister_update ") {
        methods.updates.insert(method.to_string())
    } else if let Some(method) = name.strip_prefix("canister_query ") {
        methods.queries.insert(method.to_string())
    } else if let Some(method) = name.strip_prefix("canister_composite_query ") {
        methods.composite_queries.insert(method.to_string())
    } else if SYSTEM_METHODS.contains(&name) {
        methods.system.insert(name.to_string())
    } else if name == "canister_on_low_wasm_memory" {
        return Err(CompileError::Unsupported(format!("the hook '{name}'")));
    } else if name.starts_with("canister_") {
        return Err(CompileError::Export(format!(
            "Exporting reserved function '{name}' with \"canister_\" prefix"
        )));
    } else {
        return Ok(());
    };
    debug_assert!(added, "the validator refuses two exports of one name");
    if !signature.params().is_empty() || !signature.results().is_empty() {
        return Err(CompileError::Export(format!(
            "Expected the function '{name}' to take and return nothing."
        )));
    }
    Ok(())
}

fn check_methods(methods: &Methods) -> Result<(), CompileError> {
    let mut seen = BTreeSet::new();
    let all = [
        &methods.updates,
        &methods.queries,
        &methods.composite_queries,
    ];
    for name in all.into_iter().flatten() {
        if !seen.insert(name) {
            return Err(CompileError::Export(format!(
                "Duplicate function '{name}' exported multiple times with different call types: update, query, or composite_query."
            )));
        }
    }
    limit("exported methods", seen.len(), MAX_METHODS)?;
    limit(
        "bytes of exported method names",
        seen.iter().map(|name| name.len()).sum(),
        MAX_METHOD_NAME_BYTES,
    )
}

fn collect_custom_section(
    sections: &mut Vec<CustomSection>,
    full_name: &str,
    data: &[u8],
) -> Result<(), CompileError> {
    let (name, public) = if let Some(name) = full_name.strip_prefix("icp:public ") {
        (name, true)
    } else if let Some(name) = full_name.strip_prefix("icp:private ") {
        (name, false)
    } else if full_name.starts_with("icp:") {
        return Err(CompileError::CustomSection(format!(
            "Invalid custom section: Custom section '{full_name}' has no public/private scope defined."
        )));
    } else {
        return Ok(());
    };
    if sections.iter().any(|section| section.name == name) {
        return Err(CompileError::CustomSection(format!(
            "Invalid custom section: name {name} already exists"
        )));
    }
    sections.push(CustomSection {
        name: name.to_string(),
        public,
        data: data.to_vec(),
    });
    limit("custom sections", sections.len(), MAX_CUSTOM_SECTIONS)?;
    limit(
        "bytes of custom sections",
        sections.iter().map(CustomSection::size).sum(),
        MAX_CUSTOM_SECTION_BYTES,
    )
}

fn count_operators(body: &FunctionBody<'_>, parsed: &mut Parsed<'_>) -> Result<(), CompileError> {
    let mut operators = body.get_operators_reader().map_err(invalid)?;
    while !operators.eof() {
        parsed.operators += 1;
        parsed.needs_new_instances |= matches!(
            operators.read().map_err(invalid)?,
            Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. }
                | Operator::DataDrop { .. }
                | Operator::ElemDrop { .. }
        );
    }
    Ok(())
}
