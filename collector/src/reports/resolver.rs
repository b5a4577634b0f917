//! What is asked of the resolver: the company behind an address or a name.

use firmsight_resolver::{Profile, Verdict};
use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

/// The resolver, as far as reports ask it.
pub trait ResolveForReports: Send + Sync {
    /// The verdict on an address, DNS included; never fails, at worst it knows nothing.
    fn verdict(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Arc<Verdict>> + Send + '_>>;

    /// What is known of the company that has a registrable domain.
    fn profile(&self, _domain: &str) -> Option<Profile> {
        None
    }

    /// The verdict on a host name or domain, from data alone.
    fn verdict_on_name(&self, name: &str) -> Verdict;
}
