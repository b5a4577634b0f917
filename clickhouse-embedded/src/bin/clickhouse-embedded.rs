//! `clickhouse-embedded DATA_FOLDER ENGINE` runs a server until standard input ends, for looking into a data
//! folder by hand, and for the tests of this crate.
#![forbid(unsafe_code)]

use clickhouse_embedded::{Settings, child_main_if_asked, locate, start};
use std::{path::Path, process::ExitCode};
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "current_thread")]
async fn run(folder: &str, engine: &str) -> Result<(), clickhouse_embedded::Error> {
    let server = start(Settings::new(folder, locate(Some(Path::new(engine)), &[])?)).await?;
    let (header, secret) = server.secret_header();
    println!("# process {}", server.pid());
    println!("curl -H '{header}: {secret}' '{}/?query=SELECT+version()'", server.url());
    let mut input = tokio::io::stdin();
    tokio::select! {
        exit = server.exited() => eprintln!("ended: {exit}"),
        _ = input.read_u8() => eprintln!("stopped: {}", server.stop().await),
    }
    Ok(())
}

fn main() -> ExitCode {
    child_main_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, engine] = arguments.as_slice() else {
        eprintln!("usage: clickhouse-embedded DATA_FOLDER ENGINE");
        return ExitCode::from(2);
    };
    match run(folder, engine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
