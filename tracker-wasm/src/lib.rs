//! The browser part of Firmsight.
