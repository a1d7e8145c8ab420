//! Updates of a good configuration: what cannot be read changes nothing, of what can be read the right parts are in force.

use crate::cases::rule::{LABELS, may_disable};
use crate::cases::{Broken, Version, Wrong, valid};
use crate::choice::Choice;
use crate::counts::Rise;
use crate::real_envoy;
use crate::traffic::{Answers, Applications};
use std::time::{Duration, Instant};
use support::envoy::Envoy;
use support::fleet::{Fleet, Layer, Mounted, Way};
use support::scrape::Scrape;

/// Longest wait for an update, and for what is counted.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait before concluding that nothing more is counted.
const QUIET: Duration = Duration::from_millis(200);
/// Cases of one Envoy: a module never forgets a label set.
const CASES: usize = 30;

/// Envoy's counts of configurations that it did not take.
const REFUSED: [&str; 4] =
    ["_update_rejected", "_config_fail", "_config_conflict", "_create_failure"];

/// What is looked at while an update comes into force, and when requests have been counted.
const PROGRESS: &str = "opmeter_config_|config_reload|listener_create_success";
const COUNTS: &str = "istio_";

/// Configurations that were read, whatever came of it.
const READ: [&str; 3] = [
    "opmeter_config_accepted_total",
    "opmeter_config_unreadable_total",
    "opmeter_config_rejected_total",
];

/// A running proxy under test.
struct Proxy<'a> {
    applications: &'a Applications,
    fleet: Fleet,
    envoy: Envoy,
    /// How often an update of all mounts is read: by each thread, and by the one that tries it first.
    readers: f64,
    /// Answers without the module, by mount.
    bare: Vec<Answers>,
    /// What is in force.
    version: usize,
}

// === impl Proxy ===

impl<'a> Proxy<'a> {
    async fn start(applications: &'a Applications, way: Way) -> Option<Self> {
        let envoy = real_envoy()?;
        let layers =
            Layer::ALL.into_iter().filter(|layer| way != Way::Filters || layer.is_filter());
        let mounts = layers.map(|layer| Mounted {
            name: format!("{layer:?}"),
            layer,
            config: valid(&version(0, layer)).into_bytes(),
        });
        let fleet = Fleet {
            way,
            mounts: mounts.collect(),
            http: applications.http.port,
            tcp: applications.tcp.port,
            dimensions: LABELS.iter().map(|label| label.name.to_owned()).collect(),
            failure_policy: "FAIL_OPEN",
        };
        let envoy = fleet.start(&envoy).await.unwrap();
        let mut bare = Vec::new();
        for mount in &fleet.mounts {
            bare.push(applications.bare(&envoy, mount.layer).await.unwrap());
        }
        let mut proxy = Self { applications, fleet, envoy, readers: 0.0, bare, version: 0 };
        let (before, _) = proxy.progress().await;
        proxy.write(1, None);
        proxy.settle(before).await;
        proxy.readers = proxy.progress().await.0 - before;
        assert!(proxy.readers >= 2.0 * proxy.fleet.mounts.len() as f64, "{}", proxy.readers);
        Some(proxy)
    }

    /// Gives every mount the valid configuration or what a case makes of it.
    fn write(&mut self, number: usize, case: Option<(&Choice, usize)>) -> Vec<Broken> {
        let mut cases = Vec::new();
        for mount in &mut self.fleet.mounts {
            let version = version(number, mount.layer);
            let broken = case.map(|(choice, case)| choice.case(case, &version));
            mount.config = broken.as_ref().map_or(valid(&version).into_bytes(), |b| b.text.clone());
            cases.extend(broken);
        }
        self.version = number;
        self.fleet.update(&self.envoy).unwrap();
        cases
    }

    /// How many configurations were read, and how many updates Envoy has put in force.
    async fn progress(&self) -> (f64, f64) {
        let scrape = Scrape::matching(&self.envoy, PROGRESS).await.unwrap();
        let read = READ.iter().map(|metric| scrape.total(metric)).sum();
        let in_force = match self.fleet.way {
            Way::Filters => "_config_reload",
            _ => "_listener_create_success",
        };
        let in_force = scrape.series().iter().filter(|s| s.name.ends_with(in_force));
        (read, in_force.map(|s| s.value).sum())
    }

    /// Waits until an update has been read by every thread: nothing more is read.
    async fn settle(&self, before: f64) {
        let (mut last, mut since) = (before, Instant::now());
        while last == before || since.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(PAUSE).await;
            let (read, _) = self.progress().await;
            if read != last {
                (last, since) = (read, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "no update:\n{}", self.envoy.log().unwrap());
        }
    }

    /// Updates and waits until every thread has read it.
    async fn update(&mut self, number: usize, case: Option<(&Choice, usize)>) -> Vec<Broken> {
        let (read, in_force) = self.progress().await;
        let cases = self.write(number, case);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.progress().await;
            let mounts = self.fleet.mounts.len() as f64;
            if now.0 >= read + self.readers && now.1 >= in_force + mounts {
                return cases;
            }
            let log = self.envoy.log().unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "version {number} was read {} times, not {}, {} of {mounts} are in force:\n{log}",
                now.0 - read,
                self.readers,
                now.1 - in_force,
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends requests through every mount, compares the answers with those without the module, and tells what was counted.
    async fn ask(&self, disabled: bool) -> (Rise, Vec<String>) {
        let before = Scrape::matching(&self.envoy, COUNTS).await.unwrap();
        let mut problems = Vec::new();
        for (mount, bare) in self.fleet.mounts.iter().zip(&self.bare) {
            let is_http = mount.layer.is_http();
            match self.applications.ask(&self.envoy, &mount.name, is_http).await {
                Ok(answers) if answers == *bare => {}
                Ok(answers) => {
                    problems.push(format!("{}: answers {answers:?}, not {bare:?}", mount.name));
                }
                Err(error) => problems.push(format!("{}: no answer: {error:#}", mount.name)),
            }
        }
        let deadline = Instant::now() + if disabled { QUIET } else { PATIENCE / 6 };
        loop {
            let rise =
                Rise::between(&before, &Scrape::matching(&self.envoy, COUNTS).await.unwrap());
            let complete = self.fleet.mounts.iter().all(|mount| rise.is_complete(mount));
            if complete || Instant::now() > deadline {
                return (rise, problems);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tries a case.
    async fn run(&mut self, choice: &Choice, case: usize) -> Vec<String> {
        let next = self.version + 1;
        let probe = choice.case(case, &version(next, Layer::HttpFilter));
        if probe.wrong == Wrong::Everything {
            self.update(next, None).await;
        }
        let good = self.version;
        let log = self.envoy.log().unwrap().len();
        let cases = self.update(self.version + 1, Some((choice, case))).await;
        let (rise, mut problems) = self.ask(cases.iter().any(may_disable)).await;
        for (mount, case) in self.fleet.mounts.iter().zip(&cases) {
            let found = match case.wrong {
                Wrong::Everything => rise.problems(mount, &version(good, mount.layer), None),
                _ => rise.problems(mount, &version(self.version, mount.layer), Some(case)),
            };
            problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", mount.name)));
        }
        let log = self.envoy.log().unwrap().split_off(log);
        problems.extend(told(&log, &self.fleet.mounts, &cases));
        if !problems.is_empty() {
            problems.push(format!("log:\n{log}"));
        }
        let what = cases.iter().map(|case| format!("{:?}: {}", case.wrong, case.what)).next();
        let what = what.unwrap_or_default();
        problems.into_iter().map(|problem| format!("case {case} ({what}): {problem}")).collect()
    }
}

/// A version of a mount's configuration; two that follow each other have different labels.
fn version(number: usize, layer: Layer) -> Version {
    let generation = if number.is_multiple_of(2) { "even" } else { "odd" };
    Version::new(&format!("{generation}-{layer:?}"), number)
}

/// Every problem is in the log, once for each plugin.
fn told(log: &str, mounts: &[Mounted], cases: &[Broken]) -> Vec<String> {
    let mut problems = Vec::new();
    for (mount, case) in mounts.iter().zip(cases) {
        let of_plugin = format!("wasm log {}", mount.name);
        let lines = log.lines().filter(|line| line.contains(&of_plugin));
        let mut lines: Vec<&str> = lines.filter(|line| line.contains("configuration: ")).collect();
        if lines.is_empty() && matches!(case.wrong, Wrong::Part | Wrong::Everything) {
            problems.push(format!("{}: no problem is logged", mount.name));
        }
        lines.sort_unstable();
        if let Some(pair) = lines.windows(2).find(|pair| pair[0] == pair[1]) {
            problems.push(format!("{}: logged twice: {}", mount.name, pair[0]));
        }
    }
    problems
}

async fn updates(way: Way, count: usize, step: usize) {
    let applications = Applications::start().await.unwrap();
    let choice = Choice::asked();
    let mut problems = Vec::new();
    let begin = Instant::now();
    for cases in choice.numbers(count, step).chunks(CASES) {
        let Some(mut proxy) = Proxy::start(&applications, way).await else { return };
        for case in cases {
            problems.extend(proxy.run(&choice, *case).await);
        }
        let scrape = Scrape::of(&proxy.envoy).await.unwrap();
        assert_eq!(scrape.total("opmeter_config_rejected_total"), 0.0);
        assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
        for refused in REFUSED {
            let of = |s: &&support::series::Series| s.name.ends_with(refused) && s.value != 0.0;
            assert!(scrape.series().iter().filter(of).count() == 0, "{refused}");
        }
    }
    let count = choice.numbers(count, step).len();
    eprintln!("broken: {count} cases as updates of {way:?} in {:?}", begin.elapsed());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_filters() {
    updates(Way::Filters, 44, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_listeners() {
    updates(Way::Listeners, 16, 3).await;
}
