//! The dates that a list is asked for.

use super::Parameters;
use crate::{
    admin::problem::Problem,
    reports::dates::{Window, parse_days, parse_whole_days},
};
use jiff::{civil::Date, tz::TimeZone};
use utoipa::IntoParams;

/// Dates or datetimes, both inclusive.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Dates {
    /// A day of the site's time zone, or an instant.
    #[param(example = "2026-11-01")]
    pub(crate) start_date: String,
    /// A day of the site's time zone, or an instant; inclusive.
    #[param(example = "2026-11-30")]
    pub(crate) end_date: String,
}

impl Dates {
    /// Reads `start_date` and `end_date`, both required.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let (start, end) = (parameters.required("start_date")?, parameters.required("end_date")?);
        Ok(Self { start_date: start.to_owned(), end_date: end.to_owned() })
    }

    /// What they mean in a site's time zone.
    pub(crate) fn window(&self, zone: &TimeZone) -> Result<Window, Problem> {
        Ok(Window::parse(&self.start_date, &self.end_date, zone)?)
    }

    /// The whole days in a site's time zone that they lie on.
    pub(crate) fn whole_days(&self, zone: &TimeZone) -> Result<Window, Problem> {
        Ok(parse_whole_days(&self.start_date, &self.end_date, zone)?)
    }
}

/// Plain days, both inclusive.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Days {
    /// First UTC day.
    #[param(format = Date, example = "2026-11-01")]
    start_date: String,
    /// Last UTC day.
    #[param(format = Date, example = "2026-11-30")]
    end_date: String,
}

impl Days {
    /// Reads `start_date` and `end_date`, both required.
    pub(crate) fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let Dates { start_date, end_date } = Dates::read(parameters)?;
        Ok(Self { start_date, end_date })
    }

    /// The first and the last day.
    pub(crate) fn days(&self) -> Result<(Date, Date), Problem> {
        Ok(parse_days(&self.start_date, &self.end_date)?)
    }
}
