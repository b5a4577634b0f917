//! The manual page and completions for shells, made from the definition of the command line: the release packs them.

use super::{CliError, arguments::Arguments, print};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the manual: the program's own page, then a section for each command.
pub(super) fn page() -> Result<(), CliError> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let write = |command: &clap::Command, text: &mut Vec<u8>| {
        clap_mangen::Man::new(command.clone()).render(text).map_err(CliError::Output)
    };
    write(&command, &mut text)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let page = clap_mangen::Man::new(sub.clone());
        text.extend_from_slice(format!(".SH \"{}\"\n", sub.get_name().to_uppercase()).as_bytes());
        page.render_synopsis_section(&mut text).map_err(CliError::Output)?;
        page.render_description_section(&mut text).map_err(CliError::Output)?;
        if sub.get_arguments().next().is_some() {
            page.render_options_section(&mut text).map_err(CliError::Output)?;
        }
    }
    print(&String::from_utf8_lossy(&text))
}

/// Prints a shell's completions.
pub(super) fn completions(shell: Shell) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "firmsight", &mut text);
    print(&String::from_utf8_lossy(&text))
}
