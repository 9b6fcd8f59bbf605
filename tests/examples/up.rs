//! Temporary.
#[path = "../../crates/cli/src/up.rs"]
mod up;
mod print {
    pub fn line(t: &str) { use std::io::Write; let mut o = std::io::stdout(); let _ = writeln!(o, "{t}"); let _ = o.flush(); }
    pub fn note(t: &str) { eprintln!("{t}"); }
}
mod output { pub use crate::print::*; }
use clap::Parser;
#[derive(Parser)]
enum C { Up(up::UpArgs) }
#[tokio::main]
async fn main() -> anyhow::Result<std::process::ExitCode> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let C::Up(a) = C::parse();
    up::run(a).await
}
