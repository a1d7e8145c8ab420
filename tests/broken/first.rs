//! The first configuration of a process: there is none to fall back on.

use crate::cases::rule::{LABELS, may_disable};
use crate::cases::{Broken, Version, Wrong};
use crate::choice::Choice;
use crate::counts::Rise;
use crate::real_envoy;
use crate::traffic::Applications;
use std::time::{Duration, Instant};
use support::fleet::{Fleet, Layer, Mounted, Way};
use support::scrape::Scrape;

/// Longest wait for what is counted.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Mounts of one Envoy: their label sets have to find room in the default limit.
const MOUNTS: usize = 22;

/// A mount for each case, filters and access loggers, HTTP and TCP in turn.
fn mounts(way: Way, cases: &[usize], choice: &Choice) -> Vec<(Mounted, Version, Broken)> {
    let layers: Vec<Layer> =
        Layer::ALL.into_iter().filter(|layer| way != Way::Filters || layer.is_filter()).collect();
    let of_case = |(place, number): (usize, &usize)| {
        // A text of every kind comes to filters and loggers alike, whatever the order of the texts.
        let layer = layers[(place + number / layers.len()) % layers.len()];
        let name = format!("case-{number}");
        let version = Version::new(&name, *number);
        let broken = choice.case(*number, &version);
        let mount = Mounted { name, layer, config: broken.text.clone() };
        (mount, version, broken)
    };
    cases.iter().enumerate().map(of_case).collect()
}

async fn first(way: Way, count: usize, step: usize) {
    let applications = Applications::start().await.unwrap();
    let choice = Choice::asked();
    let begin = Instant::now();
    let mut problems = Vec::new();
    for cases in choice.numbers(count, step).chunks(MOUNTS) {
        let Some(binary) = real_envoy() else { return };
        let mounts = mounts(way, cases, &choice);
        let fleet = Fleet {
            way,
            mounts: mounts.iter().map(|(mount, ..)| mount.clone()).collect(),
            http: applications.http.port,
            tcp: applications.tcp.port,
            dimensions: LABELS.iter().map(|label| label.name.to_owned()).collect(),
            failure_policy: "FAIL_CLOSED",
        };
        let envoy = fleet.start(&binary).await.unwrap();
        let before = Scrape::of(&envoy).await.unwrap();
        for (mount, _, broken) in &mounts {
            let bare = applications.bare(&envoy, mount.layer).await.unwrap();
            let answers = applications.ask(&envoy, &mount.name, mount.layer.is_http()).await;
            if answers.as_ref().ok() != Some(&bare) {
                let what = &broken.what;
                problems
                    .push(format!("{} ({what}): answers {answers:?}, not {bare:?}", mount.name));
            }
        }
        let counts = |(_, _, broken): &&(Mounted, Version, Broken)| {
            broken.wrong != Wrong::Everything && !may_disable(broken)
        };
        let deadline = Instant::now() + PATIENCE;
        let (rise, scrape) = loop {
            let scrape = Scrape::of(&envoy).await.unwrap();
            let rise = Rise::between(&before, &scrape);
            let mut counting = mounts.iter().filter(counts);
            if counting.all(|(mount, ..)| rise.is_complete(mount)) || Instant::now() > deadline {
                break (rise, scrape);
            }
            tokio::time::sleep(PAUSE).await;
        };
        for (mount, version, broken) in &mounts {
            let found = match broken.wrong {
                Wrong::Everything if rise.streams(mount) == 0.0 => Vec::new(),
                Wrong::Everything => vec![format!("{} streams are counted", rise.streams(mount))],
                _ => rise.problems(mount, version, Some(broken)),
            };
            let of_mount = format!("{} ({:?}: {})", mount.name, broken.wrong, broken.what);
            problems.extend(found.into_iter().map(|problem| format!("{of_mount}: {problem}")));
        }
        problems.extend(verdicts(&scrape, &mounts));
        if !problems.is_empty() {
            problems.push(envoy.log().unwrap());
        }
    }
    let count = choice.numbers(count, step).len();
    eprintln!("broken: {count} first configurations, {way:?}, in {:?}", begin.elapsed());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Every thread counts every configuration, as what it is.
fn verdicts(scrape: &Scrape, mounts: &[(Mounted, Version, Broken)]) -> Option<String> {
    let number = |verdict: &str| scrape.total(&format!("opmeter_config_{verdict}_total"));
    let [accepted, unreadable, rejected] = ["accepted", "unreadable", "rejected"].map(number);
    let broken = mounts.iter().filter(|(.., broken)| broken.wrong == Wrong::Everything).count();
    let (broken, all) = (broken as f64, mounts.len() as f64);
    let threads = (accepted + unreadable) / all;
    let fine = rejected == 0.0 && threads >= 2.0 && unreadable == broken * threads;
    (!fine).then(|| {
        format!(
            "{accepted} accepted, {unreadable} unreadable, {rejected} rejected; of {all} {broken} are unreadable"
        )
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_bootstrap() {
    first(Way::Static, 44, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_new_listeners() {
    first(Way::Listeners, 22, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_new_filters() {
    first(Way::Filters, 22, 2).await;
}
