//! What the program prints: which companies came, when, to which pages, and who is behind an address.

use crate::{Error, Interval, Reports, Role};
use jiff::civil::Date;
use std::io::Write;

/// Writes a few lines about the companies that visited a site between two days.
///
/// # Errors
/// [`Error`].
pub fn write(reports: &Reports, site: &str, first: Date, last: Date, output: &mut impl Write) -> Result<(), Error> {
    let leads = reports.leads(site, first, last).collect::<Result<Vec<_>, _>>()?;
    let name = leads.first().map_or("none", |lead| lead.attributes.name.as_str());
    writeln!(output, "{} companies, the first: {name}", leads.len())?;

    let days = reports.time_series(site, first, last, Interval::Day)?;
    if let Some(busiest) = days.iter().max_by_key(|day| day.visits) {
        writeln!(output, "{} days, the busiest: {} with {} visits", days.len(), busiest.start, busiest.visits)?;
    }
    for page in reports.breakdown(site, "page", first, last)?.iter().take(3) {
        writeln!(output, "{}: {} visits", page.value, page.visits)?;
    }
    let company = reports.company_of_address("17.253.144.10")?;
    writeln!(output, "17.253.144.10: {}", company.map_or("no company".to_owned(), |company| company.name))?;

    match reports.create_key("made by the example", &[site], Role::Read) {
        Ok(made) => {
            writeln!(output, "made a key with the role {}", made.role.as_str())?;
            reports.revoke_key(&made.id)?;
        }
        Err(Error::Refused { rule, .. }) => writeln!(output, "no key made: {rule}")?,
        Err(error) => return Err(error),
    }
    Ok(())
}
