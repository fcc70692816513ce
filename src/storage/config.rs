//! The settings.

use crate::{
    domain::{
        config::{Config, Limits},
        validate::InvalidArgument,
    },
    storable_row,
    storage::{
        changes,
        codec::{StoredAccount, StoredPrincipal, StoredU128},
        memory,
    },
    types::{Cycles, Seconds},
};
use ic_stable_structures::StableCell;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

/// The most network ids that one canister can have had. Payments refer to them by number.
const MAX_NETWORKS: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct LimitsRow {
    #[n(0)]
    max_routes: u32,
    #[n(1)]
    max_content_total_bytes: u64,
    #[n(2)]
    max_payments: u64,
    #[n(3)]
    max_timeout_seconds: u32,
    #[n(4)]
    cycles_floor: StoredU128,
    #[n(5)]
    retention_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct ConfigRow {
    /// Every network id this canister ever had, by number.
    #[n(0)]
    networks: Vec<String>,
    /// The number of the current network id.
    #[n(1)]
    network: u8,
    #[n(2)]
    pay_to: StoredAccount,
    #[n(3)]
    operators: Vec<StoredPrincipal>,
    #[n(4)]
    limits: LimitsRow,
    #[n(5)]
    origin: Option<String>,
    #[n(6)]
    trusted_origins: Vec<String>,
    #[n(7)]
    readers: Vec<StoredPrincipal>,
}

/// `None` before installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Settings(#[n(0)] Option<ConfigRow>);

storable_row!(Settings);

thread_local! {
    static CONFIG: RefCell<StableCell<Settings, memory::Memory>> = RefCell::new(
        StableCell::init(memory::get(memory::CONFIG), Settings::default()),
    );
}

fn with_row<T>(f: impl FnOnce(&ConfigRow) -> T) -> T {
    CONFIG.with_borrow(|cell| {
        f(cell
            .get()
            .0
            .as_ref()
            .expect("BUG: init stores the settings"))
    })
}

pub fn read() -> Config {
    with_row(|row| Config {
        network: row
            .networks
            .get(usize::from(row.network))
            .cloned()
            .expect("BUG: the settings name a network that is not among them"),
        pay_to: row.pay_to.0,
        operators: row.operators.iter().map(|operator| operator.0).collect(),
        limits: Limits {
            max_routes: row.limits.max_routes,
            max_content_total_bytes: row.limits.max_content_total_bytes,
            max_payments: row.limits.max_payments,
            max_timeout: Seconds(row.limits.max_timeout_seconds),
            cycles_floor: Cycles(row.limits.cycles_floor.0),
            retention: Seconds(row.limits.retention_seconds),
        },
        origin: row.origin.clone(),
        trusted_origins: row.trusted_origins.clone(),
        readers: row.readers.iter().map(|reader| reader.0).collect(),
    })
}

/// Replaces the settings. Fails if the canister has had too many network ids.
pub fn write(config: &Config) -> Result<(), InvalidArgument> {
    let installed = CONFIG.with_borrow(|cell| cell.get().0.is_some());
    let offers_change = !installed || {
        let known = read();
        known.network != config.network
            || known.pay_to != config.pay_to
            || known.limits.max_timeout != config.limits.max_timeout
            || known.origin != config.origin
    };
    CONFIG.with_borrow_mut(|cell| {
        let mut networks = cell
            .get()
            .0
            .as_ref()
            .map_or(vec![], |row| row.networks.clone());
        let network = match networks.iter().position(|known| *known == config.network) {
            Some(network) => network,
            None if networks.len() >= MAX_NETWORKS => {
                return Err(InvalidArgument::limit(
                    "network",
                    "was changed too often",
                    MAX_NETWORKS as u128,
                ));
            }
            None => {
                networks.push(config.network.clone());
                networks.len() - 1
            }
        };
        cell.set(Settings(Some(ConfigRow {
            networks,
            // Less than MAX_NETWORKS.
            network: network as u8,
            pay_to: StoredAccount(config.pay_to),
            operators: config
                .operators
                .iter()
                .copied()
                .map(StoredPrincipal)
                .collect(),
            limits: LimitsRow {
                max_routes: config.limits.max_routes,
                max_content_total_bytes: config.limits.max_content_total_bytes,
                max_payments: config.limits.max_payments,
                max_timeout_seconds: config.limits.max_timeout.0,
                cycles_floor: StoredU128(config.limits.cycles_floor.0),
                retention_seconds: config.limits.retention.0,
            },
            origin: config.origin.clone(),
            trusted_origins: config.trusted_origins.clone(),
            readers: config
                .readers
                .iter()
                .copied()
                .map(StoredPrincipal)
                .collect(),
        })));
        Ok(())
    })?;
    if offers_change {
        changes::note_everything();
    }
    Ok(())
}

/// The number by which payments refer to this network, if it is or was this canister's.
pub(super) fn network_number(network: &str) -> Option<u8> {
    with_row(|row| {
        let known = row.networks.iter().position(|known| known == network);
        // Less than MAX_NETWORKS.
        known.map(|number| number as u8)
    })
}

/// The network id with this number.
pub(super) fn network(number: u8) -> Option<String> {
    with_row(|row| row.networks.get(usize::from(number)).cloned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::Account;
    use candid::Principal;

    pub(crate) fn config() -> Config {
        Config {
            network: "icp:1".into(),
            pay_to: Account::from(Principal::from_slice(&[1, 1])),
            operators: vec![Principal::from_slice(&[2])],
            limits: Limits::default(),
            origin: None,
            trusted_origins: vec![],
            readers: vec![],
        }
    }

    #[test]
    fn settings_are_read_back_and_changes_noted() {
        write(&config()).unwrap();
        assert_eq!(read(), config());
        assert!(changes::take().everything);
        assert!(!changes::take().everything);
    }

    #[test]
    fn settings_that_no_offer_depends_on_change_no_answer() {
        write(&config()).unwrap();
        changes::take();
        let harmless: [fn(&mut Config); 6] = [
            |_| {},
            |config| config.operators.clear(),
            |config| config.limits.max_routes = 7,
            |config| config.limits.cycles_floor = Cycles(7),
            |config| config.trusted_origins = vec!["https://dapp.example".into()],
            |config| config.readers = vec![Principal::from_slice(&[8, 1])],
        ];
        for change in harmless {
            let mut config = config();
            change(&mut config);
            write(&config).unwrap();
            assert_eq!(read(), config);
            assert!(!changes::take().everything);
        }
        let of_offers: [fn(&mut Config); 4] = [
            |config| config.network = "icp:9".into(),
            |config| config.pay_to.subaccount = Some([1; 32]),
            |config| config.limits.max_timeout = Seconds(20),
            |config| config.origin = Some("https://shop.example".into()),
        ];
        for change in of_offers {
            let mut config = read();
            change(&mut config);
            write(&config).unwrap();
            assert_eq!(read(), config);
            assert!(changes::take().everything);
        }
    }

    #[test]
    fn numbers_of_networks_stay() {
        write(&config()).unwrap();
        let first = network_number("icp:1").unwrap();
        write(&Config {
            network: "icp:2".into(),
            ..config()
        })
        .unwrap();
        assert_ne!(network_number("icp:2"), Some(first));
        assert_eq!(network_number("icp:1"), Some(first));
        assert_eq!(network(first).as_deref(), Some("icp:1"));
        write(&config()).unwrap();
        assert_eq!(network_number("unheard of"), None);
        for n in 3..=16 {
            write(&Config {
                network: format!("icp:{n}"),
                ..config()
            })
            .unwrap();
        }
        assert!(
            write(&Config {
                network: "icp:17".into(),
                ..config()
            })
            .is_err()
        );
    }
}
