//! `pilothouse completions`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::Cli;
use crate::print;

pub(crate) fn run(shell: Shell) {
    print::line(&script(shell));
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "pilothouse", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_know_every_command() {
        let script = script(Shell::Bash);
        for word in ["approve", "rollback", "until-approval", "deliveries"] {
            assert!(script.contains(word), "{word}");
        }
    }
}
