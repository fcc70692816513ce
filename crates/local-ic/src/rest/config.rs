//! What a client may ask of a new instance. Everything this runtime does not do is refused, never ignored.

use super::RestError;
use crate::network::{DEFAULT_INITIAL_TIME, PlannedSubnet, topology};
use local_ic_replica::SubnetKind;
use pocket_ic::common::rest::{
    CanisterCyclesCostSchedule, IcpConfigFlag, IcpFeatures, IncompleteStateFlag, InitialTime,
    InstanceConfig, InstanceHttpGatewayConfig, SubnetInstructionConfig, SubnetSpec,
};

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
        state_dir,
        icp_config,
        // Nothing is logged.
        log_level: _,
        bitcoind_addr,
        dogecoind_addr,
        icp_features,
        incomplete_state,
        initial_time,
        mainnet_nns_subnet_id,
        disable_ingress_validation,
    } = config;
    set.validate().map_err(RestError::BadRequest)?;
    refuse(state_dir.is_some(), "state_dir")?;
    refuse(bitcoind_addr.is_some(), "bitcoind_addr")?;
    refuse(dogecoind_addr.is_some(), "dogecoind_addr")?;
    refuse(
        icp_features.is_some_and(|features| features != IcpFeatures::default()),
        "icp_features (system canisters cannot be deployed automatically)",
    )?;
    refuse(
        incomplete_state == Some(IncompleteStateFlag::Enabled),
        "incomplete_state",
    )?;
    refuse(mainnet_nns_subnet_id == Some(true), "mainnet_nns_subnet_id")?;
    refuse(
        disable_ingress_validation == Some(true),
        "disable_ingress_validation",
    )?;
    if let Some(icp_config) = icp_config {
        // Function names and execution rates are never limited here, which is what "disabled" asks for.
        refuse(
            icp_config.beta_features == Some(IcpConfigFlag::Enabled),
            "icp_config.beta_features = Enabled",
        )?;
        refuse(
            icp_config.function_name_length_limits == Some(IcpConfigFlag::Enabled),
            "icp_config.function_name_length_limits = Enabled",
        )?;
        refuse(
            icp_config.canister_execution_rate_limiting == Some(IcpConfigFlag::Enabled),
            "icp_config.canister_execution_rate_limiting = Enabled",
        )?;
    }
    refuse(
        set.test_threshold_keys.is_some(),
        "a test_threshold_keys subnet",
    )?;
    refuse(!set.cloud_engine.is_empty(), "cloud_engine subnets")?;

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
    refuse(
        spec.get_state_path().is_some() || !spec.is_supported(),
        "subnets loaded from a state",
    )?;
    refuse(
        spec.get_instruction_config() != SubnetInstructionConfig::Production,
        "the benchmarking instruction limits",
    )?;
    refuse(spec.get_subnet_admins().is_some(), "subnet_admins")?;
    refuse(
        spec.get_cost_schedule() != CanisterCyclesCostSchedule::Normal,
        "a cost schedule other than Normal",
    )
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
    use pocket_ic::common::rest::{ExtendedSubnetConfigSet, IcpConfig, IcpFeaturesConfig, RawTime};

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
        let changes: [Change; 9] = [
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
            |config| config.bitcoind_addr = Some(Vec::new()),
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
