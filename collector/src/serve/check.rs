//! `firmsight config check`: what would keep `serve` from starting, found without starting it.

use super::{ServeError, bind, control_socket, setup, store_keeper};
use crate::{config::Config, data_files, sealing::MasterKey, time::UnixMillis};
use rustix::fs::{Access, access};
use std::{io, path::Path};

/// Reads everything that can be read, and opens the ports where no server of this data directory has them.
///
/// # Errors
/// The first thing that would keep the collector from starting, or a data source from being fetched.
pub async fn check(config: &Config) -> Result<(), ServeError> {
    setup::databases(config)?;
    setup::ingest(config)?;
    setup::admin_allow(config)?;
    store_keeper::StoreKeeper::new(config)?;
    sources(config)?;
    writable(&config.data_dir)?;
    if config.key_file().exists() {
        MasterKey::load_or_create(&config.key_file())?;
    } else if let Some(folder) = config.key_file().parent()
        && folder != config.data_dir
    {
        writable(folder)?;
    }
    if control_socket::connect(&config.data_dir).await.is_err() {
        bind("public.listen", config.public.listen).await?;
        bind("admin.listen", config.admin.listen).await?;
    }
    Ok(())
}

/// Whether each source of data files has the credentials it needs.
fn sources(config: &Config) -> Result<(), ServeError> {
    let credentials = setup::credentials(config);
    for source in &config.geoip.sources {
        data_files::is_set_up(source, &config.geoip.urls, &credentials, UnixMillis::now())
            .map_err(setup::SetupError::Source)?;
    }
    Ok(())
}

/// Whether a folder can be written to, or made.
fn writable(folder: &Path) -> Result<(), ServeError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let nearest = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    let problem = |source| ServeError::DataDirectory { path: absolute.clone(), source };
    if !nearest.is_dir() {
        return Err(problem(io::ErrorKind::NotADirectory.into()));
    }
    access(nearest, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| problem(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_writable_where_it_can_be_made_and_not_below_a_file() {
        let folder = tempfile::tempdir().unwrap();
        writable(folder.path()).unwrap();
        writable(&folder.path().join("a/b")).unwrap();
        assert!(!folder.path().join("a").exists(), "looking makes nothing");
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(writable(&file.join("data")).unwrap_err().to_string().contains("file/data"));
    }
}
