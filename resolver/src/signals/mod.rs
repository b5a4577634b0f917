//! The signals: each small module reads one source and returns evidence with a weight (log-odds) and, where it names an
//! organisation, a candidate for the visiting company. None of them does I/O; none knows the others.

pub(crate) mod asn;
pub(crate) mod company_database;
pub(crate) mod domain_map;
pub(crate) mod exit_lists;
pub(crate) mod listed_companies;
mod own_hosts;
pub(crate) mod ptr_name;
pub(crate) mod range_lists;
