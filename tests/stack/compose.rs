//! The compose file and the dashboards against the schemas of those who read them. No containers are started.

use crate::files::Test;
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::envoy;
use support::module::workspace;

/// Reads dashboards into Grafana's types and writes them again: what a type does not know is lost on the way.
const ROUND_TRIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/grafana.py");

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 7] = [
        ("compose::file_fits_the_schema", schema),
        ("compose::services_are_pinned_and_watched", services),
        ("compose::what_services_refer_to_is_there", references),
        ("compose::mounted_files_are_there", mounts),
        ("compose::the_client_finds_the_server", address),
        ("compose::envoy_accepts_the_sample_application", application),
        ("dashboards::files_fit_grafanas_types", dashboards),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || test().map_err(|error| Failed::from(format!("{error:#}"))))
        })
        .collect()
}

fn file() -> PathBuf {
    workspace().join("envoy/docker-compose.yaml")
}

fn compose() -> Result<Value> {
    let text = std::fs::read_to_string(file())?;
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text)?;
    value.apply_merge()?;
    Ok(serde_json::to_value(value)?)
}

/// A program of the folder with schemas. Without the folder these tests pass without a run, and say so, unless an Envoy is
/// demanded.
pub fn program(name: &str) -> Result<Option<PathBuf>> {
    match std::env::var_os("OPMETER_SCHEMAS") {
        Some(folder) => Ok(Some(Path::new(&folder).join(name))),
        None if std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some() => {
            bail!("OPMETER_SCHEMAS is not set")
        }
        None => {
            eprintln!("SKIPPED: OPMETER_SCHEMAS is not set, nothing was held against a schema");
            Ok(None)
        }
    }
}

/// Runs it; what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "{}", text.concat());
    Ok(text.concat())
}

fn schema() -> Result<()> {
    let Some(check) = program("check-jsonschema/bin/check-jsonschema")? else { return Ok(()) };
    run(Command::new(check).args(["--builtin-schema", "vendor.compose-spec"]).arg(file()))?;
    // Docker's own reading says more, where there is one.
    let mut docker = Command::new("docker");
    if docker.args(["compose", "version"]).output().is_ok_and(|output| output.status.success()) {
        run(Command::new("docker").args(["compose", "-f"]).arg(file()).args(["config", "-q"]))?;
    }
    Ok(())
}

fn services() -> Result<()> {
    let compose = compose()?;
    let services = compose["services"].as_object().context("no services")?;
    let expected =
        ["client-sidecar", "grafana", "productpage", "prometheus", "ratings", "server-sidecar"];
    let mut names: Vec<&str> = services.keys().map(String::as_str).collect();
    names.sort_unstable();
    ensure!(names == expected, "{names:?}");
    for (name, service) in services {
        let image = service["image"].as_str().unwrap_or_default();
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let pinned = tag.split('.').count() == 3 && tag.ends_with(|c: char| c.is_ascii_digit());
        ensure!(pinned, "{name} has the image {image:?}");
        ensure!(service["healthcheck"]["test"].is_array(), "{name} is not watched");
    }
    let envoy = std::fs::read_to_string(workspace().join("make/envoy-path.sh"))?;
    let version = envoy
        .lines()
        .find_map(|line| line.strip_prefix("version=${ENVOY_VERSION:-")?.strip_suffix('}'))
        .context("no version of Envoy")?;
    for name in ["client-sidecar", "server-sidecar", "ratings"] {
        let image = services[name]["image"].as_str();
        ensure!(image == Some(&format!("envoyproxy/envoy:v{version}")), "{name}: {image:?}");
    }
    Ok(())
}

/// What the schema cannot know and `docker compose config` refuses: names of services, networks, volumes and variables.
fn references() -> Result<()> {
    let compose = compose()?;
    let services = compose["services"].as_object().context("no services")?;
    let mut seen = 0;
    let mut known = |kind: &str, name: &str| {
        seen += 1;
        ensure!(compose[kind].get(name).is_some(), "there is no {name:?} among {kind}");
        Ok(())
    };
    for service in services.values() {
        for (other, condition) in service["depends_on"].as_object().into_iter().flatten() {
            known("services", other)?;
            ensure!(condition["condition"] == "service_healthy", "{other}: {condition}");
        }
        if let Some(mode) = service["network_mode"].as_str() {
            known("services", mode.strip_prefix("service:").context(mode.to_owned())?)?;
            ensure!(service.get("networks").is_none() && service.get("ports").is_none(), "{mode}");
        }
        let networks = &service["networks"];
        for name in networks.as_object().into_iter().flat_map(|all| all.keys()) {
            known("networks", name)?;
        }
        for name in networks.as_array().into_iter().flatten().filter_map(Value::as_str) {
            known("networks", name)?;
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().and_then(|volume| volume.split(':').next());
            let source = source.with_context(|| volume.to_string())?;
            if !source.starts_with('.') {
                known("volumes", source)?;
            }
        }
    }
    ensure!(seen == 11, "{seen} names");
    // A single `$` begins a variable of Compose, and this file has none.
    let text = std::fs::read_to_string(file())?.replace("$$", "");
    ensure!(!text.contains('$'), "a variable of Compose: write $$ for the shell's");
    Ok(())
}

fn mounts() -> Result<()> {
    let compose = compose()?;
    let services = compose["services"].as_object().context("no services")?;
    let mut seen = 0;
    for volume in services.values().flat_map(|service| service["volumes"].as_array()).flatten() {
        let source = volume.as_str().and_then(|v| v.split(':').next()).unwrap_or_default();
        if source.starts_with('.') && !source.ends_with("opmeter.wasm") {
            ensure!(workspace().join("envoy").join(source).exists(), "{source}");
            seen += 1;
        }
    }
    ensure!(seen == 7, "{seen} files and folders");
    Ok(())
}

/// The command line rewrites one address of the client's bootstrap; with another wording of the bootstrap it would rewrite
/// nothing and not fail.
fn address() -> Result<()> {
    let compose = compose()?;
    let client = &compose["services"]["client-sidecar"];
    let command = client["command"][0].as_str().context("no command")?;
    let (rewrite, start) =
        command.split_once(" > /tmp/envoy.yaml && ").context(command.to_owned())?;
    ensure!(start.starts_with("exec envoy -c /tmp/envoy.yaml"), "{start}");
    let written = run(Command::new("sh").current_dir(workspace()).args(["-c", rewrite]))?;
    let bootstrap: Value = serde_yaml_ng::from_str(&written)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array().context("no clusters")?;
    let server = clusters
        .iter()
        .find(|cluster| cluster["name"].as_str().is_some_and(|name| name.starts_with("outbound|")))
        .context("no cluster of the server")?;
    let endpoint = &server["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    let found = &endpoint["address"]["socket_address"]["address"];
    let own = &compose["services"]["server-sidecar"]["networks"]["mesh"]["ipv4_address"];
    ensure!(own.is_string() && found == own, "{found} instead of {own}");
    Ok(())
}

fn application() -> Result<()> {
    let Some(binary) = envoy::binary().map_err(anyhow::Error::msg)? else { return Ok(()) };
    let file = workspace().join("envoy/compose/ratings.yaml");
    run(Command::new(binary)
        .args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "warning"])
        .arg("--config-path")
        .arg(file))
    .map(|_| ())
}

fn dashboards() -> Result<()> {
    let Some(python) = program("grafana/bin/python")? else { return Ok(()) };
    let folder = workspace().join("envoy/grafana/dashboards");
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    ensure!(files.len() == 3, "{files:?}");
    run(Command::new(python).args(["-B", ROUND_TRIP]).args(files)).map(|_| ())
}
