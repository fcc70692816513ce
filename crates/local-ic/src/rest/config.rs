//! What a client may ask of a new instance. Everything this runtime does not do is refused, never ignored.

use super::RestError;
use crate::network::{DEFAULT_INITIAL_TIME, PlannedSubnet, topology};
use crate::protocol::{Fields, InitialTime, InstanceConfig, InstanceHttpGatewayConfig, SubnetSpec};
use local_ic_replica::SubnetKind;
use serde_json::Value;

/// An instance to be made.
pub(super) struct Plan {
    pub subnets: Vec<PlannedSubnet>,
    pub initial_time: u64,
    pub auto_progress: bool,
    pub gateway: Option<InstanceHttpGatewayConfig>,
}

/// Checks a configuration and turns it into a plan.
pub(super) fn check(config: InstanceConfig) -> Result<Plan, RestError> {
    let InstanceConfig {
        subnet_config_set: set,
        http_gateway_config,
        icp_config,
        icp_features,
        incomplete_state,
        initial_time,
        mainnet_nns_subnet_id,
        disable_ingress_validation,
        _log_level: _,
        others,
    } = config;
    refuse_any(&others)?;
    refuse(
        icp_features.is_some_and(|features| !features.values().all(Value::is_null)),
        "icp_features (system canisters cannot be deployed automatically)",
    )?;
    refuse(
        incomplete_state.is_some_and(|flag| flag != "Disabled"),
        "incomplete_state",
    )?;
    refuse(mainnet_nns_subnet_id == Some(true), "mainnet_nns_subnet_id")?;
    refuse(
        disable_ingress_validation == Some(true),
        "disable_ingress_validation",
    )?;
    // Function names and execution rates are never limited here, which is what "disabled" asks for.
    for (name, flag) in icp_config.into_iter().flatten() {
        refuse(
            flag.is_some_and(|flag| flag != "Disabled"),
            &format!("icp_config.{name} = Enabled"),
        )?;
    }
    refuse_any(&set.others)?;

    let named = [
        (SubnetKind::Nns, set.nns),
        (SubnetKind::Sns, set.sns),
        (SubnetKind::Ii, set.ii),
        (SubnetKind::Fiduciary, set.fiduciary),
        (SubnetKind::Bitcoin, set.bitcoin),
    ];
    let listed = [
        (SubnetKind::System, set.system),
        (SubnetKind::Application, set.application),
        (SubnetKind::VerifiedApplication, set.verified_application),
    ];
    let specs = named
        .into_iter()
        .filter_map(|(kind, spec)| Some((kind, spec?)))
        .chain(
            listed
                .into_iter()
                .flat_map(|(kind, specs)| specs.into_iter().map(move |spec| (kind, spec))),
        );
    let mut kinds = Vec::new();
    for (kind, spec) in specs {
        check_spec(&spec)?;
        kinds.push(kind);
    }
    if kinds.is_empty() {
        return Err(RestError::BadRequest(
            "ExtendedSubnetConfigSet must contain at least one subnet".into(),
        ));
    }
    let (initial_time, auto_progress) = match initial_time {
        None => (DEFAULT_INITIAL_TIME, false),
        Some(InitialTime::Timestamp(time)) if time.nanos_since_epoch < DEFAULT_INITIAL_TIME => {
            return Err(RestError::BadRequest(format!(
                "The initial timestamp (unix timestamp in nanoseconds) must be no earlier than {DEFAULT_INITIAL_TIME} (provided {}).",
                time.nanos_since_epoch
            )));
        }
        Some(InitialTime::Timestamp(time)) => (time.nanos_since_epoch, false),
        Some(InitialTime::AutoProgress(config)) => {
            refuse(config.artificial_delay_ms.is_some(), "artificial_delay_ms")?;
            (DEFAULT_INITIAL_TIME, true)
        }
    };
    Ok(Plan {
        subnets: topology::plan(&kinds),
        initial_time,
        auto_progress,
        gateway: http_gateway_config,
    })
}

fn check_spec(spec: &SubnetSpec) -> Result<(), RestError> {
    refuse(spec.state_config != "New", "subnets loaded from a state")?;
    refuse(
        spec.instruction_config != "Production",
        "the benchmarking instruction limits",
    )?;
    refuse(
        spec.cost_schedule
            .as_ref()
            .is_some_and(|schedule| schedule != "Normal"),
        "a cost schedule other than Normal",
    )?;
    refuse_any(&spec.others)
}

/// Refuses every field that is set.
fn refuse_any(fields: &Fields) -> Result<(), RestError> {
    fields.iter().try_for_each(|(name, value)| {
        let set = !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        refuse(set, name)
    })
}

pub(super) fn refuse(condition: bool, what: &str) -> Result<(), RestError> {
    if condition {
        return Err(RestError::Unsupported(what.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::Principal;
    use pocket_ic::common::rest::{
        ExtendedSubnetConfigSet, IcpConfig, IcpConfigFlag, IcpFeatures, IcpFeaturesConfig,
        InitialTime, InstanceConfig, RawTime, SubnetSpec,
    };

    /// What the client sends.
    fn check(config: InstanceConfig) -> Result<Plan, RestError> {
        let json = serde_json::to_vec(&config).expect("encodes");
        super::check(crate::rest::parse(&json)?)
    }

    fn config() -> InstanceConfig {
        InstanceConfig {
            subnet_config_set: ExtendedSubnetConfigSet {
                nns: Some(SubnetSpec::default()),
                application: vec![SubnetSpec::default(); 2],
                ..Default::default()
            },
            icp_config: Some(IcpConfig::default()),
            icp_features: Some(IcpFeatures::default()),
            ..Default::default()
        }
    }

    #[test]
    fn should_plan_the_subnets_asked_for() {
        let plan = check(config()).expect("supported");
        let kinds: Vec<SubnetKind> = plan.subnets.iter().map(|subnet| subnet.kind).collect();
        assert_eq!(
            kinds,
            [
                SubnetKind::Nns,
                SubnetKind::Application,
                SubnetKind::Application
            ]
        );
        assert_eq!(plan.initial_time, DEFAULT_INITIAL_TIME);
        assert!(!plan.auto_progress);
    }

    #[test]
    fn should_refuse_what_it_cannot_do() {
        type Change = fn(&mut InstanceConfig);
        let changes: [Change; 11] = [
            |config| config.state_dir = Some("/tmp/state".into()),
            |config| {
                config.icp_features.as_mut().unwrap().ii = Some(IcpFeaturesConfig::DefaultConfig)
            },
            |config| {
                config.icp_config.as_mut().unwrap().beta_features = Some(IcpConfigFlag::Enabled)
            },
            |config| config.mainnet_nns_subnet_id = Some(true),
            |config| config.disable_ingress_validation = Some(true),
            |config| config.subnet_config_set.test_threshold_keys = Some(SubnetSpec::default()),
            |config| {
                config.subnet_config_set.application =
                    vec![SubnetSpec::default().with_benchmarking_instruction_config()]
            },
            |config| {
                config.subnet_config_set.nns =
                    Some(SubnetSpec::default().with_state_dir("/tmp/nns".into()))
            },
            |config| config.bitcoind_addr = Some(vec![([127, 0, 0, 1], 1).into()]),
            |config| config.subnet_config_set.cloud_engine = vec![SubnetSpec::default()],
            |config| {
                config.subnet_config_set.application =
                    vec![SubnetSpec::default().with_subnet_admins(vec![Principal::anonymous()])]
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = config();
            change(&mut changed);
            assert!(
                matches!(check(changed), Err(RestError::Unsupported(_))),
                "change {number}"
            );
        }
    }

    #[test]
    fn should_refuse_no_subnets_and_an_early_time() {
        assert!(check(InstanceConfig::default()).is_err());
        let mut early = config();
        early.initial_time = Some(InitialTime::Timestamp(RawTime {
            nanos_since_epoch: DEFAULT_INITIAL_TIME - 3_000_000_000,
        }));
        assert!(matches!(check(early), Err(RestError::BadRequest(_))));
    }
}
