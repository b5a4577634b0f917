//! Where the configuration file is: the first place that has one.

use std::path::{Path, PathBuf};

/// The environment variable that names the configuration file; set to nothing it stands for no file at all.
pub const FILE_VARIABLE: &str = "FIRMSIGHT_CONFIG";
/// The file's name in the folders that are searched.
const FILE_NAME: &str = "firmsight.toml";
/// The machine's configuration.
const SYSTEM_FILE: &str = "/etc/firmsight/firmsight.toml";

/// Finds the configuration file: `named` (`--config`), then `FIRMSIGHT_CONFIG`, `./firmsight.toml`, the file in the
/// user's configuration folder, `/etc/firmsight/firmsight.toml`. A file that was named is taken whether it exists or not,
/// so that reading it says what is wrong.
#[must_use]
pub fn find(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    if let Some(named) = variable(FILE_VARIABLE) {
        return (!named.is_empty()).then(|| named.into());
    }
    [Some(PathBuf::from(FILE_NAME)), user_file(variable), Some(SYSTEM_FILE.into())]
        .into_iter()
        .flatten()
        .find(|file| exists(file))
}

/// The file in the user's configuration folder: `$XDG_CONFIG_HOME/firmsight/` or `~/.config/firmsight/`.
#[must_use]
pub fn user_file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(configuration.join("firmsight").join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_a_file_counts_and_a_named_one_is_never_passed_over() {
        let (here, user, system) =
            ("firmsight.toml", "/home/ada/.config/firmsight/firmsight.toml", "/etc/firmsight/firmsight.toml");
        for (named, variables, files, expected) in [
            (Some("a.toml"), &[("FIRMSIGHT_CONFIG", "b.toml")][..], &[here][..], Some("a.toml")),
            (None, &[("FIRMSIGHT_CONFIG", "b.toml")], &[here], Some("b.toml")),
            (None, &[("FIRMSIGHT_CONFIG", "")], &[here, system], None),
            (None, &[("HOME", "/home/ada")], &[here, user, system], Some(here)),
            (None, &[("HOME", "/home/ada")], &[user, system], Some(user)),
            (
                None,
                &[("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "/x")],
                &[user, "/x/firmsight/firmsight.toml"],
                Some("/x/firmsight/firmsight.toml"),
            ),
            (None, &[], &[system], Some(system)),
            (None, &[("HOME", "/home/ada")], &[], None),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let exists = |file: &Path| files.iter().any(|known| Path::new(known) == file);
            let found = find(named.map(Path::new), variable, exists);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{named:?} {variables:?} {files:?}");
        }
    }
}
