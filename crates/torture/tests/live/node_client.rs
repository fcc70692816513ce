//! The JavaScript agent, in its own process.

use crate::shared::live;
use crate::support::torture_wasm;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

#[test]
fn icp_sdk_core_verifies_queries_updates_and_certificates() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("js/run");
    let hex: String = Sha256::digest(torture_wasm())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let output = Command::new(script)
        .arg(&live().url)
        .arg(live().plain.to_text())
        .arg(live().web.to_text())
        .arg(hex)
        .output()
        .expect("Node.js runs the script");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
