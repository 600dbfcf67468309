//! Environment variables as numbers.

use crate::error::{DistError, Result};

pub(super) fn required(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<String> {
    variable(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| DistError::setting(name, "", "must be set where RANK and WORLD_SIZE are"))
}

pub(super) fn number<T: std::str::FromStr>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<T> {
    parse(name, &required(variable, name)?)
}

pub(super) fn optional<T: std::str::FromStr>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<T>> {
    variable(name).map(|text| parse(name, &text)).transpose()
}

pub(super) fn parse<T: std::str::FromStr>(name: &str, text: &str) -> Result<T> {
    text.trim()
        .parse()
        .map_err(|_| DistError::setting(name, text, "is not a number in range"))
}
