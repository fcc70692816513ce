//! Modules that answer with what was put into them.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};

const APPEND: u32 = 0;
const REPLY: u32 = 1;

/// A module whose methods (`canister_query x`, `canister_update y`) reply with fixed bytes.
pub fn answering(methods: &[(&str, Vec<u8>)]) -> Vec<u8> {
    build(methods, None)
}

/// Like [`answering`], with an update method `count` that replies with one byte: how often it has run.
pub fn counting(methods: &[(&str, Vec<u8>)]) -> Vec<u8> {
    build(methods, Some("canister_update count"))
}

fn build(methods: &[(&str, Vec<u8>)], counter: Option<&str>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], []);
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import("ic0", "msg_reply_data_append", EntityType::Function(0));
    imports.import("ic0", "msg_reply", EntityType::Function(1));
    let (mut functions, mut exports, mut code, mut data) = (
        FunctionSection::new(),
        ExportSection::new(),
        CodeSection::new(),
        DataSection::new(),
    );
    let mut offset = 16_i32;
    let mut index = 2;
    for (name, reply) in methods {
        let length = i32::try_from(reply.len()).expect("small");
        data.active(0, &ConstExpr::i32_const(offset), reply.iter().copied());
        let mut function = Function::new([]);
        function
            .instructions()
            .i32_const(offset)
            .i32_const(length)
            .call(APPEND)
            .call(REPLY)
            .end();
        functions.function(1);
        exports.export(name, ExportKind::Func, index);
        code.function(&function);
        offset += length;
        index += 1;
    }
    let mut globals = GlobalSection::new();
    if let Some(name) = counter {
        globals.global(
            GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            },
            &ConstExpr::i32_const(0),
        );
        let byte = wasm_encoder::MemArg {
            offset: 0,
            align: 0,
            memory_index: 0,
        };
        let mut function = Function::new([]);
        function
            .instructions()
            .global_get(0)
            .i32_const(1)
            .i32_add()
            .global_set(0)
            .i32_const(0)
            .global_get(0)
            .i32_store8(byte)
            .i32_const(0)
            .i32_const(1)
            .call(APPEND)
            .call(REPLY)
            .end();
        functions.function(1);
        exports.export(name, ExportKind::Func, index);
        code.function(&function);
    }
    let pages = u64::try_from(offset).expect("positive").div_ceil(65_536) + 1;
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code)
        .section(&data);
    module.finish()
}
