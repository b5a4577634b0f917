//! Runs the website with a whole collector inside: `cargo run -p embed-axum`, then open
//! <http://127.0.0.1:3000/>. The reports API is at <http://127.0.0.1:3001/>.

use axum::Router;
use collector::{
    config,
    serve::{
        Collector,
        command::{Answer, Command},
    },
    site::{ConsentMode, Site},
};
use embed_axum::{SITE, website};
use std::{error::Error, net::SocketAddr};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    // The embedded ClickHouse runs in a child that is this binary again.
    clickhouse_embedded::child_main_if_asked();
    tracing_subscriber::fmt::init();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let collector = Collector::open(config::load(None, std::env::vars())?).await?;
    collector.store_is_ready().await?;
    add_website(&collector).await?;

    let website = website(collector.public_service());
    let website = tokio::spawn(serve("127.0.0.1:3000", website));
    let reports = tokio::spawn(serve("127.0.0.1:3001", collector.admin_router()));
    println!("website http://127.0.0.1:3000/, reports API http://127.0.0.1:3001/");
    let stopped = tokio::select! {
        stopped = async { website.await??; reports.await?.map_err(Box::<dyn Error>::from) } => stopped,
        error = collector.failed() => Err(error.into()),
    };
    collector.shutdown().await?;
    stopped
}

/// Serves with the peer's address at hand, until Ctrl-C.
async fn serve(address: &str, router: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Ctrl-C can't be heard: {error}");
        }
    };
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).with_graceful_shutdown(stop).await
}

async fn add_website(collector: &Collector) -> Result<(), Box<dyn Error>> {
    let Answer::Sites(sites) = collector.execute(Command::ListSites).await? else {
        return Err("the sites were not listed".into());
    };
    if sites.iter().any(|site| site.id.as_str() == SITE) {
        return Ok(());
    }
    let site =
        Site { consent: ConsentMode::Cookieless, ..Site::new(SITE.parse()?, "My website", ["127.0.0.1", "localhost"]) };
    collector.execute(Command::AddSite(site)).await?;
    Ok(())
}
