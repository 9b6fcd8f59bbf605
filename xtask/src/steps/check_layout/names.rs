//! One stem everywhere: folder, package, operation in the logs, and placeholder in the definitions.

use std::path::Path;

use crate::sources;

const PLACEHOLDER_END: &str = "FunctionArn}";

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let functions = sources::folders("functions")?;
    let mut breaches = Vec::new();
    for name in &functions {
        breaches.extend(function(name)?);
    }
    for name in sources::folders("crates")? {
        let expected = if name == "cli" { "pilothouse".to_owned() } else { format!("pilothouse-{name}") };
        breaches.extend(package(&format!("crates/{name}"), &expected)?);
    }
    breaches.extend(definitions(&functions)?);
    Ok(breaches)
}

fn function(name: &str) -> anyhow::Result<Vec<String>> {
    let folder = format!("functions/{name}");
    let mut breaches: Vec<String> = package(&folder, &format!("pilothouse-{name}"))?.into_iter().collect();
    let operation = format!("\"{}\"", name.replace('-', "_"));
    let mut logged = false;
    for path in sources::rust_files()?.iter().filter(|path| path.starts_with(&folder)) {
        logged = logged || sources::read(path)?.contains(&operation);
    }
    if !logged {
        breaches.push(format!("{folder}: logs no operation {operation}, the folder's name there"));
    }
    Ok(breaches)
}

fn package(folder: &str, expected: &str) -> anyhow::Result<Option<String>> {
    let manifest = format!("{folder}/Cargo.toml");
    let named = sources::read(Path::new(&manifest))?.lines().any(|l| l == format!("name = \"{expected}\""));
    Ok((!named).then(|| format!("{manifest}: the package's name is not {expected}")))
}

/// Every function that a definition calls is a folder of that name.
fn definitions(functions: &[String]) -> anyhow::Result<Vec<String>> {
    let known: Vec<String> = functions.iter().map(|f| pascal(f)).collect();
    let mut breaches = Vec::new();
    for entry in std::fs::read_dir(sources::root().join("statemachines"))? {
        let path = entry?.path();
        let shown = path.strip_prefix(sources::root()).unwrap_or(&path).to_owned();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        for called in called(&sources::read(&shown)?) {
            if !known.contains(&called) {
                breaches.push(format!(
                    "{}: `{called}{PLACEHOLDER_END}` is no folder of functions/",
                    shown.display()
                ));
            }
        }
    }
    Ok(breaches)
}

/// `Example` for each `${ExampleFunctionArn}`.
fn called(definition: &str) -> Vec<String> {
    let mut names: Vec<String> = definition
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once(PLACEHOLDER_END))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric()))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn pascal(name: &str) -> String {
    name.split('-')
        .flat_map(|part| part[..1].to_uppercase().chars().chain(part[1..].chars()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_a_definition_are_found_by_their_placeholders() {
        let text = r#"{"F": "${RunStageFunctionArn}", "S": "${StageStateMachineArn}", "G": "${RunStageFunctionArn}"}"#;
        assert_eq!(called(text), ["RunStage"]);
    }

    #[test]
    fn a_folder_is_written_in_pascal_case_in_a_definition() {
        assert_eq!(pascal("advance-deployment"), "AdvanceDeployment");
        assert_eq!(pascal("sweep"), "Sweep");
    }
}
