//! Modules that Envoy could not load, or has no configuration for: what happens to requests, and what helps.

use super::Diagnosis;
use super::admin::{Agent, Snapshot};
use super::dump::{Dump, Extension};
use super::mounts::{Mount, mounts};
use crate::lint::{Verdict, verdict};
use crate::table::count;

/// Why Envoy did not take a mount of a module.
enum Cause {
    /// The module refuses the configuration, with these problems.
    Strict(Vec<String>),
    /// The file with the module.
    File(String),
    /// Not told.
    Unknown,
}

/// What became of the last configuration of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In force.
    Applied,
    /// Refused; an older one goes on.
    Refused,
    /// Refused, or not there; the filter never had one.
    Missing,
}

/// All that is not as it was meant, each filter once.
pub fn all(snapshot: &Snapshot, dump: &Dump) -> Vec<Diagnosis> {
    let mut all = Vec::new();
    let mut seen = Vec::new();
    for mount in dump.listeners.iter().flat_map(mounts).filter(|mount| mount.discovered) {
        if !seen.contains(&mount.name.to_owned()) {
            seen.push(mount.name.to_owned());
            all.extend(discovered(snapshot, dump, &mount));
        }
    }
    for failed in &dump.failed {
        let (what, effect) = match failed.has_older {
            true => ("an update of listener", "it goes on with what it had"),
            false => ("listener", "it is not there: connections to it are refused"),
        };
        let seen = format!("{what} {} was refused, and {effect}: {}", failed.name, failed.details);
        let found = mounts(&failed.listener);
        let causes = found.iter().map(|mount| cause(mount, Some(&failed.details)));
        let remedy = causes.map(|cause| remedy(&cause)).next();
        all.push(Diagnosis::problem(seen, remedy.unwrap_or_else(|| remedy_of_envoy().to_owned())));
    }
    all.extend(fetches(snapshot));
    all
}

/// A filter that has its configuration by discovery, as a WasmPlugin's does.
fn discovered(snapshot: &Snapshot, dump: &Dump, mount: &Mount<'_>) -> Option<Diagnosis> {
    let name = mount.name;
    let extension = dump.extensions.get(name);
    if let Some(kind) = mount.instead {
        return Some(replaced(snapshot, name, kind, extension));
    }
    let is_told = statistic(snapshot, name, "update_success").is_some();
    let effect = match (fate(snapshot, dump, mount), is_told) {
        (Fate::Applied, true) => return None,
        (Fate::Applied, false) => return untold(dump, mount),
        (Fate::Refused, true) => "the last one is refused, and the one before goes on",
        (Fate::Refused, false) => {
            "the one before goes on, and where there was none Envoy answers 500 to every request that comes to it"
        }
        (Fate::Missing, true) => {
            "it has none, and Envoy answers 500 to every request that comes to it"
        }
        (Fate::Missing, false) => {
            "no module runs, and where the filter never had a configuration Envoy answers 500 to every request"
        }
    };
    let Some(extension) = extension else {
        return Some(Diagnosis::problem(
            format!("filter {name} waits for its configuration: {effect}"),
            "nobody sends it: is the control plane there, and does its log name this filter?",
        ));
    };
    let cause = cause(mount, extension.error.as_deref());
    let why = match &cause {
        Cause::Strict(problems) => {
            // Without the list of all that would be allowed.
            let short =
                problems.iter().map(|problem| problem.split("; allowed").next().unwrap_or(problem));
            format!("`strict` refuses it: {}", short.collect::<Vec<_>>().join("; "))
        }
        Cause::File(file) => format!("the module's file {file} cannot be loaded"),
        Cause::Unknown => match &extension.error {
            Some(error) => error.clone(),
            None => "the proxy's log tells why".to_owned(),
        },
    };
    let seen = format!("the configuration of filter {name} is not in force ({why}): {effect}");
    Some(Diagnosis::problem(seen, remedy(&cause)))
}

/// A statistic of Envoy's about a discovered filter; Istio's proxies leave these out.
fn statistic(snapshot: &Snapshot, filter: &str, name: &str) -> Option<u64> {
    let kinds = ["http_filter", "network_filter"].into_iter();
    let mut names = kinds.map(|kind| format!("extension_config_discovery.{kind}.{filter}.{name}"));
    names.find_map(|name| snapshot.stat(&name))
}

/// Where Istio's agent keeps what it has fetched: such a file is there.
const FETCHED: &str = "/var/lib/istio/data/";

/// A file beside other modules that run: nothing tells whether this one does.
fn untold(dump: &Dump, mount: &Mount<'_>) -> Option<Diagnosis> {
    let file = mount.file().filter(|file| !file.starts_with(FETCHED))?;
    let others = dump.listeners.iter().flat_map(mounts);
    let is_alone = others.into_iter().all(|other| other.name == mount.name);
    (!is_alone).then(|| {
        Diagnosis::note(
            format!("whether filter {} has found its file {file} cannot be seen here", mount.name),
            "if requests are answered 500, it has not: mount the volume that has it; annotation \
             sidecar.istio.io/statsInclusionPrefixes: extension_config_discovery makes it seen",
        )
    })
}

/// What the proxy has made of the configuration of a mount.
///
/// The dump has the configuration that came last, whether Envoy has taken it or not; when it took one is a statistic. Where
/// that is left out, it shows in whether any module runs, and in whether the module would refuse the configuration.
pub fn fate(snapshot: &Snapshot, dump: &Dump, mount: &Mount<'_>) -> Fate {
    if !mount.discovered {
        return Fate::Applied;
    }
    let of = |name| statistic(snapshot, mount.name, name);
    let Some(extension) = dump.extensions.get(mount.name) else { return Fate::Missing };
    match (of("update_success"), of("update_time")) {
        (Some(0), _) => Fate::Missing,
        (Some(_), Some(applied)) if extension.received.is_some_and(|at| at > applied) => {
            Fate::Refused
        }
        (Some(_), _) => Fate::Applied,
        (None, _) if snapshot.machines() == 0 => Fate::Missing,
        (None, _) if extension.error.is_some() || is_refused(mount) => Fate::Refused,
        (None, _) => Fate::Applied,
    }
}

fn is_refused(mount: &Mount<'_>) -> bool {
    let text = mount.configuration().unwrap_or_default();
    matches!(verdict(&text), Verdict::Refused(_))
}

fn cause(mount: &Mount<'_>, words: Option<&str>) -> Cause {
    if let Verdict::Refused(problems) = verdict(&mount.configuration().unwrap_or_default()) {
        return Cause::Strict(problems);
    }
    match mount.file() {
        // Without words of Envoy's there is nothing else that a module of ours can fail by.
        Some(file) if words.is_none_or(|words| words.contains(file)) => {
            Cause::File(file.to_owned())
        }
        _ => Cause::Unknown,
    }
}

fn remedy(cause: &Cause) -> String {
    match cause {
        Cause::Strict(_) => "correct what `opmeter lint` finds in it; without `strict` the module leaves out what is \
                             wrong, and requests pass"
            .to_owned(),
        Cause::File(_) => "mount the volume that has the file into the proxy first, or let the resource name an image \
                           (`oci://`); the path is one inside the proxy's container"
            .to_owned(),
        Cause::Unknown => remedy_of_envoy().to_owned(),
    }
}

fn remedy_of_envoy() -> &'static str {
    "the proxy's log has the reason, in lines with \"wasm\""
}

/// Istio's agent fetches images, and where it cannot, gives Envoy another filter in the module's place.
fn replaced(
    snapshot: &Snapshot,
    name: &str,
    kind: &str,
    extension: Option<&Extension>,
) -> Diagnosis {
    let short = kind.rsplit('.').next().unwrap_or(kind);
    let denies = extension.is_some_and(|extension| extension.config.get("rules").is_some());
    let effect = match denies {
        true => "so requests are denied with 403",
        false => "so requests pass and are not counted",
    };
    let seen = format!(
        "the module of filter {name} could not be fetched: Istio's agent has put {short} in its place, {effect}"
    );
    let fetched = snapshot.agent.as_ref().map(Agent::failures).unwrap_or_default();
    let told = match fetched.is_empty() {
        true => String::new(),
        false => format!(" (the agent counts {})", fetched.join(", ")),
    };
    Diagnosis::problem(
        seen,
        format!(
            "check `url`, `sha256` and `imagePullSecret` of the resource, and the way from this pod to the registry{told}; \
             the agent tries again when the resource changes or the pod restarts"
        ),
    )
}

/// Envoy itself fetches what `code.remote` names.
fn fetches(snapshot: &Snapshot) -> Option<Diagnosis> {
    let failed = snapshot.sum("wasm.remote_load_fetch_failures");
    (failed > 0).then(|| {
        let times = if failed == 1 { "once".to_owned() } else { format!("{} times", count(failed)) };
        Diagnosis::problem(
            format!("Envoy could not fetch a module ({times}): requests pass it uncounted, or without FAIL_OPEN are refused"),
            "check its URL, checksum and the way there (`code.remote`)",
        )
    })
}
