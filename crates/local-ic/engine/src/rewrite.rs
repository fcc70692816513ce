//! Rewrites a module so that it counts instructions and shows its state to the runtime.
//!
//! A mutable global, the counter, holds the instructions left. At the entry of each straight-line block
//! the weights of the whole block are subtracted from it; function and loop entries also stop when it is
//! negative. Counting at the entry is what makes the operators between two system calls of one block
//! invisible to `performance_counter`, as on the Internet Computer. The counter, all mutable globals,
//! the memory, the table and the start function become exports.

use wasm_encoder::{CodeSection, Encode, Module, RawSection, SectionId};
use wasmparser::{BinaryReader, FunctionBody, Operator};

use crate::error::CompileError;
use crate::prepare::Parsed;
use crate::weights::weight;

/// Names of the added exports. A canister can hardly have them; if it does, it is refused as invalid.
pub const COUNTER: &str = "local-ic counter";
pub const MEMORY: &str = "local-ic memory";
pub const TABLE: &str = "local-ic table";
pub const START: &str = "local-ic start";

/// The export name of mutable global `index`.
pub fn global_name(index: u32) -> String {
    format!("local-ic global {index}")
}

const GLOBAL_GET: u8 = 0x23;
const GLOBAL_SET: u8 = 0x24;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const I64_CONST: u8 = 0x42;
const I64_SUB: u8 = 0x7d;
const I64_LT_S: u8 = 0x53;
const I64_EXTEND_I32_U: u8 = 0xad;
const IF_VOID: [u8; 2] = [0x04, 0x40];
const UNREACHABLE: u8 = 0x00;
const END: u8 = 0x0b;
const I64_TYPE: u8 = 0x7e;
const I32_TYPE: u8 = 0x7f;

/// The rewritten module.
pub fn rewrite(parsed: &Parsed<'_>) -> Result<Vec<u8>, CompileError> {
    let counter = parsed.global_count;
    let globals = with_more(
        parsed.sections.get(&(SectionId::Global as u8)).copied(),
        &[vec![I64_TYPE, 1, I64_CONST, 0, END]],
    )?;
    let exports = with_more(
        parsed.sections.get(&(SectionId::Export as u8)).copied(),
        &added_exports(parsed, counter),
    )?;
    let mut code = CodeSection::new();
    for (body, parameters) in parsed.bodies.iter().zip(&parsed.parameters) {
        code.raw(&instrument(parsed, body, *parameters, counter)?);
    }

    let mut module = Module::new();
    // Sections in the order the format demands.
    for id in [
        SectionId::Type,
        SectionId::Import,
        SectionId::Function,
        SectionId::Table,
        SectionId::Memory,
        SectionId::Global,
        SectionId::Export,
        SectionId::Element,
        SectionId::DataCount,
        SectionId::Code,
        SectionId::Data,
    ] {
        let id = id as u8;
        let data = match id {
            _ if id == SectionId::Global as u8 => Some(globals.as_slice()),
            _ if id == SectionId::Export as u8 => Some(exports.as_slice()),
            _ if id == SectionId::Code as u8 => {
                if !parsed.bodies.is_empty() {
                    module.section(&code);
                }
                None
            }
            _ => parsed.sections.get(&id).copied(),
        };
        if let Some(data) = data {
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

fn added_exports(parsed: &Parsed<'_>, counter: u32) -> Vec<Vec<u8>> {
    const FUNCTION: u8 = 0;
    const TABLE_KIND: u8 = 1;
    const MEMORY_KIND: u8 = 2;
    const GLOBAL: u8 = 3;
    let mut exports = vec![export(COUNTER, GLOBAL, counter)];
    for index in &parsed.mutable_globals {
        exports.push(export(&global_name(*index), GLOBAL, *index));
    }
    if parsed.has_memory {
        exports.push(export(MEMORY, MEMORY_KIND, 0));
    }
    if parsed.has_function_table {
        exports.push(export(TABLE, TABLE_KIND, 0));
    }
    if let Some(start) = parsed.start {
        exports.push(export(START, FUNCTION, start));
    }
    exports
}

fn export(name: &str, kind: u8, index: u32) -> Vec<u8> {
    let mut entry = Vec::new();
    name.encode(&mut entry);
    entry.push(kind);
    index.encode(&mut entry);
    entry
}

/// The content of a section that is a vector, with `more` entries at its end.
fn with_more(content: Option<&[u8]>, more: &[Vec<u8>]) -> Result<Vec<u8>, CompileError> {
    let (count, entries) = match content {
        None => (0, &[][..]),
        Some(content) => {
            let mut reader = BinaryReader::new(content, 0);
            let count = reader.read_var_u32().map_err(invalid)?;
            (count, &content[reader.original_position()..])
        }
    };
    let mut section = Vec::with_capacity(entries.len() + 64);
    (count + more.len() as u32).encode(&mut section);
    section.extend_from_slice(entries);
    for entry in more {
        section.extend_from_slice(entry);
    }
    Ok(section)
}

fn invalid(error: wasmparser::Error) -> CompileError {
    CompileError::Invalid(error.to_string())
}

/// A place where code is added.
struct Point {
    /// Offset in the module before which the code goes.
    at: usize,
    kind: Kind,
}

enum Kind {
    /// Charges a block; `checks` where the block can be entered again and again.
    Block { cost: u64, checks: bool },
    /// Charges the size on top of the stack, an i64 if it is `wide`.
    Size { wide: bool },
}

fn instrument(
    parsed: &Parsed<'_>,
    body: &FunctionBody<'_>,
    parameters: u32,
    counter: u32,
) -> Result<Vec<u8>, CompileError> {
    let bytes = body.as_bytes();
    let base = body.range().start;
    let (points, end) = points(parsed, body)?;

    let mut locals = body.get_locals_reader().map_err(invalid)?;
    let groups = locals.get_count();
    let groups_start = locals.original_position();
    let mut local_count = parameters;
    for _ in 0..groups {
        local_count += locals.read().map_err(invalid)?.0;
    }
    let code_start = locals.original_position();

    // One local more for each kind of size.
    let needed = |wanted: bool| {
        let mut kinds = points.iter().map(|point| &point.kind);
        kinds.any(|kind| matches!(kind, Kind::Size { wide } if *wide == wanted))
    };
    let added = [(false, I32_TYPE), (true, I64_TYPE)].map(|(wide, ty)| needed(wide).then_some(ty));
    let mut out = Vec::with_capacity(bytes.len() + points.len() * 12);
    (groups + added.iter().flatten().count() as u32).encode(&mut out);
    out.extend_from_slice(&bytes[groups_start - base..code_start - base]);
    for ty in added.iter().flatten() {
        out.extend_from_slice(&[1, *ty]);
    }
    let mut copied = code_start;
    for point in points {
        out.extend_from_slice(&bytes[copied - base..point.at - base]);
        copied = point.at;
        match point.kind {
            Kind::Block { cost, checks } => {
                get_counter(&mut out, counter);
                out.push(I64_CONST);
                (cost as i64).encode(&mut out);
                set_counter_to_difference(&mut out, counter);
                if checks {
                    stop_if_negative(&mut out, counter);
                }
            }
            Kind::Size { wide } => {
                let local = local_count + u32::from(wide && added[0].is_some());
                out.push(LOCAL_SET);
                local.encode(&mut out);
                get_counter(&mut out, counter);
                out.push(LOCAL_GET);
                local.encode(&mut out);
                if !wide {
                    out.push(I64_EXTEND_I32_U);
                }
                set_counter_to_difference(&mut out, counter);
                stop_if_negative(&mut out, counter);
                out.push(LOCAL_GET);
                local.encode(&mut out);
            }
        }
    }
    out.extend_from_slice(&bytes[copied - base..end - base]);
    Ok(out)
}

fn get_counter(out: &mut Vec<u8>, counter: u32) {
    out.push(GLOBAL_GET);
    counter.encode(out);
}

fn set_counter_to_difference(out: &mut Vec<u8>, counter: u32) {
    out.push(I64_SUB);
    out.push(GLOBAL_SET);
    counter.encode(out);
}

fn stop_if_negative(out: &mut Vec<u8>, counter: u32) {
    get_counter(out, counter);
    out.extend_from_slice(&[I64_CONST, 0, I64_LT_S]);
    out.extend_from_slice(&IF_VOID);
    out.extend_from_slice(&[UNREACHABLE, END]);
}

/// Where to add code, in order, and where the body ends.
fn points(
    parsed: &Parsed<'_>,
    body: &FunctionBody<'_>,
) -> Result<(Vec<Point>, usize), CompileError> {
    let wide_table = |table: u32| parsed.wide_tables.get(table as usize) == Some(&true);
    let mut operators = body.get_operators_reader().map_err(invalid)?;
    let mut points = Vec::new();
    // Entering the function costs one.
    let mut block = Point {
        at: operators.original_position(),
        kind: Kind::Block {
            cost: 1,
            checks: true,
        },
    };
    // Sizes are charged within a block, so their points come after the block's own.
    let mut sizes = Vec::new();
    while !operators.eof() {
        let before = operators.original_position();
        let operator = operators.read().map_err(invalid)?;
        let after = operators.original_position();
        if let Kind::Block { cost, .. } = &mut block.kind {
            *cost += weight(&operator);
        }
        let next_checks = match operator {
            Operator::Loop { .. } => Some(true),
            Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Unreachable => Some(false),
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => {
                let wide = match operator {
                    Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } => parsed.wide,
                    Operator::TableFill { table } => wide_table(table),
                    Operator::TableCopy {
                        dst_table,
                        src_table,
                    } => wide_table(dst_table) && wide_table(src_table),
                    // Segments have 32-bit sizes.
                    _ => false,
                };
                sizes.push(Point {
                    at: before,
                    kind: Kind::Size { wide },
                });
                None
            }
            _ => None,
        };
        if let Some(checks) = next_checks {
            let next = Point {
                at: after,
                kind: Kind::Block { cost: 0, checks },
            };
            let ended = std::mem::replace(&mut block, next);
            if !matches!(ended.kind, Kind::Block { cost: 0, .. }) {
                points.push(ended);
            }
            points.append(&mut sizes);
        }
    }
    // The body's last operator is `end`, so no block is open here.
    Ok((points, operators.original_position()))
}
