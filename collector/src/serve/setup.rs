//! From configuration to what the rooms want to be given.

use crate::{
    config::{Config, DataFile, TrustedProxy, data_folders},
    data_files::{CLOUDFLARE_LIST, Credentials, Source, SourceError, UpdateError, Updater},
    ingest::{self, client_address::ProxyTrust},
    pipeline::{self, rebuild::KeptFor, visits::VisitTimeout},
    retention::Policy,
};
use firmsight_resolver::{Databases, OwnerRule, OwnerRules, Profiles, Resolver, ResolverError, RulesError};
use ipnet::IpNet;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What a round that is under way gets after `limits.shutdown_timeout` has passed.
const PIPELINE_GRACE: Duration = Duration::from_secs(1);
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
/// RFC 1918, RFC 3927, RFC 4193, RFC 4291.
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// Why the configuration can't be put to work.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A data file is in none of its places.
    #[error(
        "data file {name} is not there (looked in {places}): it comes with the release, beside the binary; in a checkout \
         `cargo xtask data` fetches it; or name another in {key}"
    )]
    DataFile {
        /// As configured.
        name: String,
        /// Where it was looked for.
        places: String,
        /// The configuration key that names it.
        key: &'static str,
    },
    /// A data file can't be used.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// One of the owner's rules can't be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The preset needs a list that is not there.
    #[error(
        "public.trusted_proxies: \"cloudflare\" needs Cloudflare's list of ranges, which is in none of {places}: \
         name the source \"cloudflare-ranges\" in [geoip].sources and run `firmsight geoip update`, or save https://www.cloudflare.com/ips-v4 and \
         https://www.cloudflare.com/ips-v6 there as {CLOUDFLARE_LIST}, or write the networks themselves"
    )]
    CloudflareList {
        /// Where it was looked for.
        places: String,
    },
    /// The list holds something else.
    #[error("{}, line {line}: {text:?} is no network; save Cloudflare's lists again, one network a line", path.display())]
    CloudflareLine {
        /// The list.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A key is set that this version can't honour.
    #[error("clickhouse.cluster: the embedded ClickHouse is one node; name a node of the cluster as clickhouse.url")]
    Cluster,
    /// A source of data files lacks its credentials.
    #[error("geoip.sources: {0}")]
    Source(SourceError),
    /// A file can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Opens the data files and makes a resolver of them, for a command that ends by itself.
pub(crate) fn resolver(config: &Config, with_dns: bool) -> Result<Resolver, SetupError> {
    Ok(Resolver::new(databases(config)?, resolver_settings(config, with_dns))?)
}

/// The same for a server: whatever becomes of the files, it goes on.
pub(super) fn serving_resolver(config: &Config) -> Result<Resolver, SetupError> {
    let databases = private_databases(config)?;
    // No verdict waits for it later.
    databases.prepare();
    Ok(Resolver::new(databases, resolver_settings(config, true))?)
}

fn resolver_settings(config: &Config, with_dns: bool) -> firmsight_resolver::Settings {
    firmsight_resolver::Settings {
        dns: config.resolver.dns && with_dns,
        nameservers: config.resolver.nameservers.iter().map(|server| server.get()).collect(),
        ptr_timeout: config.resolver.ptr_timeout.get(),
        dns_concurrency: config.resolver.dns_concurrency.max(1),
        dns_queries_per_second: config.resolver.dns_queries_per_second,
        cache_entries: config.resolver.cache_entries.max(1),
        ..firmsight_resolver::Settings::default()
    }
}

/// Opens the configured data files.
pub(crate) fn databases(config: &Config) -> Result<Databases, SetupError> {
    let mut databases = Databases::open(&database_files(config)?)?.with_owner_rules(owner_rules(config)?);
    if let Some(profiles) = profiles_file(config) {
        databases = databases.with_profiles(Profiles::open(&profiles)?);
    }
    Ok(databases)
}

/// Checks private copies of the configured data files as a whole and opens them.
pub(super) fn private_databases(config: &Config) -> Result<Databases, SetupError> {
    let folder = config.geoip_folder();
    let mut databases =
        Databases::open_copies(&database_files(config)?, &folder)?.with_owner_rules(owner_rules(config)?);
    if let Some(profiles) = profiles_file(config) {
        databases = databases.with_profiles(Profiles::open_copy(&profiles, &folder)?);
    }
    Ok(databases)
}

fn owner_rules(config: &Config) -> Result<OwnerRules, SetupError> {
    let rules: Vec<OwnerRule> = config.resolver.rules.iter().map(|rule| rule.get().clone()).collect();
    Ok(OwnerRules::read(&rules, rules_file(config))?)
}

/// The file of company profiles, where there is one.
pub(super) fn profiles_file(config: &Config) -> Option<PathBuf> {
    Some(config.company_profiles()).filter(|path| path.is_file())
}

/// The file with the owner's rules, where one is named.
pub(super) fn rules_file(config: &Config) -> Option<&Path> {
    Some(config.resolver.rules_file.as_path()).filter(|path| !path.as_os_str().is_empty())
}

/// Where the data files are: those that were fetched from configured sources, then the others.
pub(crate) fn database_files(config: &Config) -> Result<Vec<PathBuf>, SetupError> {
    let folder = config.geoip_folder();
    let sources = config.geoip.sources.iter();
    let is_there = |source: &&Source| source.is_for_resolver() && folder.join(source.file_name()).is_file();
    let fetched: Vec<_> = sources.filter(is_there).collect();
    let is_replaced = |file: &&DataFile| {
        fetched.iter().any(|source| source.replaces().iter().any(|replaced| file.is_named(replaced)))
    };
    let find = |file: &DataFile, key| {
        file.find().ok_or_else(|| SetupError::DataFile { name: file.to_string(), places: joined(&file.places()), key })
    };
    let others = |files: &[DataFile], key| -> Result<Vec<PathBuf>, SetupError> {
        files.iter().filter(|file| !is_replaced(file)).map(|file| find(file, key)).collect()
    };
    let mut files: Vec<PathBuf> = fetched.iter().map(|source| folder.join(source.file_name())).collect();
    files.extend(others(&config.resolver.databases, "[resolver].databases")?);
    files.extend(others(&config.resolver.lists, "[resolver].lists")?);
    Ok(files)
}

/// What fetches newer data files.
pub(crate) fn updater(config: &Config) -> Result<Updater, UpdateError> {
    Updater::new(config.geoip_folder(), config.geoip.urls.clone(), credentials(config))
}

/// What publishers of data files know the owner by.
pub(super) fn credentials(config: &Config) -> Credentials {
    let geoip = &config.geoip;
    Credentials {
        ipinfo_token: geoip.ipinfo_token.reveal().to_owned(),
        maxmind_account_id: geoip.maxmind_account_id.reveal().to_owned(),
        maxmind_license_key: geoip.maxmind_license_key.reveal().to_owned(),
    }
}

/// What the public side wants to know.
pub(super) fn ingest(config: &Config) -> Result<ingest::Settings, SetupError> {
    Ok(ingest::Settings {
        script_path: config.tracker.script_path.as_str().to_owned(),
        endpoint_path: config.tracker.endpoint_path.as_str().to_owned(),
        trusted_proxies: trusted_proxies(&config.public.trusted_proxies, &list_folders(config))?,
        client_ip_header: config.public.client_ip_header.get(),
        body_timeout: config.limits.request_body_timeout.get(),
        beacons_per_address_per_minute: config.limits.beacons_per_address_per_minute,
        forgets_per_network_per_minute: config.limits.forgets_per_network_per_minute,
        access_networks: match config.resolver.access_networks {
            crate::config::AccessNetworks::AskDns => ingest::AccessNetworks::AskDns,
            crate::config::AccessNetworks::Drop => ingest::AccessNetworks::Drop,
        },
        max_bodies_in_flight: config.limits.bodies_in_flight.get(),
        client_id_life: config.tracker.client_id_life,
    })
}

/// Whom the admin listener answers.
pub(super) fn admin_allow(config: &Config) -> Result<Vec<IpNet>, SetupError> {
    trusted_proxies(&config.admin.allow, &list_folders(config))
}

/// What the pipeline wants to know.
pub(super) fn pipeline(config: &Config) -> pipeline::Settings {
    pipeline::Settings {
        visit_timeout: VisitTimeout::new(config.visits.timeout.get()),
        kept_for: kept_for(&config.retention),
        keep: config.resolver.keep.as_slice().to_vec(),
        resolve_at_once: config.resolver.dns_concurrency.max(1),
        shutdown_deadline: PIPELINE_GRACE,
        visitor_allowance: pipeline::DailyAllowance {
            events: config.limits.events_per_visitor_per_day,
            bytes: config.limits.bytes_per_visitor_per_day.get(),
        },
        ..pipeline::Settings::default()
    }
}

/// A visitor without a hash is no longer told from others, so its rows prove as little as rows that are gone.
fn kept_for(policy: &Policy) -> KeptFor {
    KeptFor {
        events: policy.events.shorter(policy.visitor_hashes).at_least(),
        visits: policy.visits.shorter(policy.visitor_hashes).at_least(),
    }
}

/// Where Cloudflare's list may be: what was fetched, then the default set's folders.
fn list_folders(config: &Config) -> Vec<PathBuf> {
    std::iter::once(config.geoip_folder()).chain(data_folders()).collect()
}

/// Whose word about clients counts, and in which header.
pub(crate) fn proxy_trust(config: &Config) -> Result<ProxyTrust, SetupError> {
    Ok(ProxyTrust {
        networks: trusted_proxies(&config.public.trusted_proxies, &list_folders(config))?,
        header: config.public.client_ip_header.get(),
    })
}

/// The networks behind the words.
pub(crate) fn trusted_proxies(configured: &[TrustedProxy], folders: &[PathBuf]) -> Result<Vec<IpNet>, SetupError> {
    let preset = |networks: &[&str]| networks.iter().filter_map(|text| text.parse().ok()).collect::<Vec<IpNet>>();
    let mut networks = Vec::new();
    for proxy in configured {
        match proxy {
            TrustedProxy::Loopback => networks.extend(preset(LOOPBACK)),
            TrustedProxy::Private => networks.extend(preset(PRIVATE)),
            TrustedProxy::Cloudflare => networks.extend(cloudflare(folders)?),
            TrustedProxy::Network(network) => networks.push(*network),
        }
    }
    Ok(networks)
}

fn cloudflare(folders: &[PathBuf]) -> Result<Vec<IpNet>, SetupError> {
    let Some(path) = folders.iter().map(|folder| folder.join(CLOUDFLARE_LIST)).find(|path| path.is_file()) else {
        return Err(SetupError::CloudflareList { places: joined(folders) });
    };
    let text = std::fs::read_to_string(&path).map_err(|source| SetupError::Read { path: path.clone(), source })?;
    let mut networks = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            networks.push(line.parse().map_err(|_| SetupError::CloudflareLine {
                path: path.clone(),
                line: index + 1,
                text: line.chars().take(80).collect(),
            })?);
        }
    }
    if networks.is_empty() {
        return Err(SetupError::CloudflareList { places: joined(folders) });
    }
    Ok(networks)
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_become_networks() {
        let networks = trusted_proxies(&[TrustedProxy::Loopback, TrustedProxy::Private], &[]).unwrap();
        assert_eq!(networks.len(), LOOPBACK.len() + PRIVATE.len());
    }

    #[test]
    fn cloudflares_preset_needs_its_list_and_refuses_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        let refusal = cloudflare(&folders).unwrap_err().to_string();
        assert!(refusal.contains("ips-v4") && refusal.contains(&folder.path().display().to_string()), "{refusal}");
        let file = folder.path().join(CLOUDFLARE_LIST);
        std::fs::write(&file, "198.51.100.0/24\n\n# a note\n2001:db8::/32\n").unwrap();
        assert_eq!(cloudflare(&folders).unwrap().len(), 2);
        std::fs::write(&file, "<!doctype html>").unwrap();
        assert!(cloudflare(&folders).unwrap_err().to_string().contains("line 1"));
    }
}
