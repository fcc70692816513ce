//! Controllers' actions on canisters: stop, start, upgrade, starve, archive.

use crate::{
    support::{
        interface::{InitArgs, TollkeeperArgs},
        management::RunningStatus,
        setup::controller,
    },
    world::{Checked, World, violation},
};
use candid::{Nat, Principal};
use pocket_ic::{CanisterSettings, RejectResponse};
use std::time::Duration;
use test_ledger::testing::{FaultStatus, LedgerInit, move_to_archive};

/// The default freezing threshold, in seconds.
const USUAL_THRESHOLD: u64 = 2_592_000;
/// The longest wait of a call of the canister, and a second.
const PATIENCE_SECONDS: u64 = 61;

impl World {
    /// Moves old blocks of a ledger to its archive.
    pub fn archive(&mut self, ledger: usize, keep: u64) {
        let id = self.ledgers[ledger].id;
        let archive = match self.ledgers[ledger].archive {
            Some(archive) => archive,
            None => {
                let pic = &self.setup.pic;
                let subnet = pic.get_subnet(id);
                let subnet = subnet.expect("a ledger lives on a subnet");
                let archive = pic.create_canister_on_subnet(Some(controller()), None, subnet);
                pic.add_cycles(archive, crate::support::setup::CYCLES);
                let wasm = crate::support::environment::test_ledger_wasm();
                let init = LedgerInit::archive().encode();
                pic.install_canister(archive, wasm, init, Some(controller()));
                self.ledgers[ledger].archive = Some(archive);
                archive
            }
        };
        let blocks = self.ledgers[ledger].chain.blocks.len() as u64;
        let (method, arg) = move_to_archive(archive, blocks.saturating_sub(keep));
        self.ledger_call(ledger, controller(), method, arg);
    }

    pub fn start_archive(&mut self, ledger: usize, stop: bool) {
        if let Some(archive) = self.ledgers[ledger].archive {
            self.ledgers[ledger].archive_stopped = stop;
            self.manage(
                archive,
                if stop {
                    "stop_canister"
                } else {
                    "start_canister"
                },
            );
            self.tick(1);
        }
    }

    pub fn start_ledger(&mut self, ledger: usize) {
        let id = self.ledgers[ledger].id;
        if self.ledgers[ledger].frozen {
            self.ledgers[ledger].frozen = false;
            let _ = self.threshold(id, USUAL_THRESHOLD);
        }
        self.manage(id, "start_canister");
        self.tick(1);
        self.ledgers[ledger].stopped = false;
    }

    /// Calls the management canister without waiting.
    pub fn manage(&self, canister: Principal, method: &str) {
        let _ = self.setup.submit_management(method, canister);
    }

    pub fn threshold(&self, canister: Principal, seconds: u64) -> Checked {
        let settings = CanisterSettings {
            freezing_threshold: Some(Nat::from(seconds)),
            ..CanisterSettings::default()
        };
        let pic = &self.setup.pic;
        match pic.update_canister_settings(canister, Some(controller()), settings) {
            Ok(()) => Ok(()),
            Err(reject) => violation("simulator", format!("settings of {canister}: {reject}")),
        }
    }

    /// Lets time pass as on a network: messages on their way arrive before and after.
    pub fn advance(&mut self, seconds: u64) -> Checked {
        if seconds > 30 {
            self.tick(2);
        }
        self.setup.pic.advance_time(Duration::from_secs(seconds));
        self.tick(2);
        self.poll()
    }

    pub fn stop(&mut self) {
        self.excuse();
        self.stopped = true;
        self.manage(self.setup.canister, "stop_canister");
        self.tick(2);
    }

    pub fn start(&mut self) -> Checked {
        self.manage(self.setup.canister, "start_canister");
        self.tick(1);
        self.stopped = false;
        self.poll()
    }

    /// Whether the canister has stopped.
    fn is_stopped(&self) -> bool {
        let status = self.setup.try_canister_status();
        status.is_ok_and(|status| status.status == RunningStatus::stopped)
    }

    /// Upgrades as operators are told to do it: to the canister under test, or to the build of it that traps.
    pub fn upgrade_stopped(&mut self, trapping: bool) -> Checked {
        self.feed()?;
        self.stop();
        for _ in 0..6 {
            if self.is_stopped() {
                break;
            }
            // Nobody can keep it from stopping for longer than its calls wait.
            self.advance(PATIENCE_SECONDS)?;
            self.tick(4);
        }
        if !self.is_stopped() {
            return violation("unstoppable", "it waits for something that never comes");
        }
        self.poll()?;
        self.install(trapping)?;
        self.start()
    }

    /// Operators are told not to do this: the canister refuses if the reply to a call could arrive at an address in the
    /// new code's heap. It is forced nevertheless, which is safe if no call of the new code can be there: what is in
    /// flight arrives first. If it may arrive late, the refusal stands.
    pub fn upgrade_running(&mut self) -> Checked {
        self.feed()?;
        self.tick(1);
        self.poll()?;
        self.excuse();
        match self.try_install(false) {
            Ok(()) => {}
            Err(reject) if !reject.reject_message.contains("calls are in flight") => {
                return violation("upgrade", reject.to_string());
            }
            Err(_) if self.may_answer_late() => return Ok(()),
            Err(_) => self.setup.upgrade_by_force(),
        }
        self.trapping = false;
        self.stats.upgrades += 1;
        for ledger in 0..self.ledgers.len() {
            self.test_call(ledger, "test_release", ());
        }
        self.tick(8);
        self.poll()
    }

    /// Whether a ledger holds a reply back that cannot be released now.
    fn may_answer_late(&mut self) -> bool {
        (0..self.ledgers.len())
            .any(|ledger| self.ledgers[ledger].holds_by_time && self.held(ledger) != Some(0))
    }

    /// The number of replies that the ledger holds back; `None` if it does not answer.
    fn held(&self, ledger: usize) -> Option<u32> {
        let arg = candid::encode_args(()).expect("Candid");
        let (pic, id) = (&self.setup.pic, self.ledgers[ledger].id);
        let reply = pic.query_call(id, controller(), "test_fault_status", arg);
        let status: Vec<FaultStatus> = candid::decode_one(&reply.ok()?).ok()?;
        Some(status.iter().map(|method| method.held).sum())
    }

    fn install(&mut self, trapping: bool) -> Checked {
        self.stats.upgrades += 1;
        self.try_install(trapping)
            .or_else(|reject| violation("upgrade", reject.to_string()))?;
        self.trapping = trapping;
        Ok(())
    }

    fn try_install(&mut self, trapping: bool) -> Result<(), RejectResponse> {
        let args = Some(TollkeeperArgs::Upgrade(InitArgs::default()));
        match trapping {
            true => {
                let file = "quick/tollkeeper+traps.wasm.gz";
                let wasm = crate::support::environment::wasm("TOLLKEEPER_TRAPS_WASM", file);
                self.setup.try_upgrade_to(wasm, args)
            }
            false => self.setup.try_upgrade(args),
        }
    }

    /// Leaves the canister this many cycles above the freezing threshold.
    pub fn starve(&mut self, liquid: u128) -> Checked {
        self.excuse();
        let balance = self.setup.pic.cycle_balance(self.setup.canister);
        let frozen = balance.saturating_sub(liquid);
        let seconds = frozen.saturating_mul(86_400) / self.idle_burn.max(1);
        self.starved = true;
        let seconds = u64::try_from(seconds)
            .unwrap_or(1 << 60)
            .max(USUAL_THRESHOLD);
        self.threshold(self.setup.canister, seconds)
    }

    pub fn feed(&mut self) -> Checked {
        self.starved = false;
        let canister = self.setup.canister;
        let balance = self.setup.pic.cycle_balance(canister);
        if balance < self.cycles / 2 {
            self.setup.pic.add_cycles(canister, self.cycles / 2);
        }
        self.threshold(canister, USUAL_THRESHOLD)
    }
}
