//! `opmeter run` as a person starts it: two real Envoys, on ports of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names of the variables that move a port.
const PORTS: [&str; 12] = [
    "CLIENT_PORT",
    "CLIENT_INBOUND_PORT",
    "CLIENT_STATS_PORT",
    "CLIENT_ADMIN_PORT",
    "CLIENT_HEALTH_PORT",
    "SERVER_PORT",
    "SERVER_OUTBOUND_PORT",
    "SERVER_STATS_PORT",
    "SERVER_ADMIN_PORT",
    "SERVER_HEALTH_PORT",
    "UPSTREAM_PORT",
    "PROMETHEUS_PORT",
];

/// Envoy and module, which `make test` hands over; without them there is nothing to run, unless that is demanded.
fn parts() -> Option<(PathBuf, PathBuf)> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let parts = path("OPMETER_ENVOY").zip(path("OPMETER_MODULE"));
    if parts.is_none() {
        let demanded = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
        assert!(!demanded, "OPMETER_ENVOY and OPMETER_MODULE are not both set");
        eprintln!("SKIPPED: OPMETER_ENVOY and OPMETER_MODULE are not both set");
    }
    parts
}

/// Starts it on free ports, one of which may be given.
fn run(envoy: &Path, module: &Path, fixed: Option<(&str, u16)>) -> Output {
    let fixed = fixed.map(|(name, port)| (name, port.to_string()));
    run_with(
        envoy,
        module,
        &fixed.as_slice().iter().map(|(n, p)| (*n, p.as_str())).collect::<Vec<_>>(),
    )
}

/// Starts it on free ports, with variables that may move one.
fn run_with(envoy: &Path, module: &Path, variables: &[(&str, &str)]) -> Output {
    let free: Vec<TcpListener> =
        PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_opmeter"));
    command.current_dir(root).args(["run", "--once"]).env("ROUNDS", "2");
    command.arg("--envoy").arg(envoy).arg("--module").arg(module);
    command.env("SERVER_ADDRESS", "127.0.0.1");
    for (name, listener) in PORTS.iter().zip(&free) {
        command.env(name, listener.local_addr().expect("an address").port().to_string());
    }
    command.env_remove("PROMETHEUS").envs(variables.iter().copied());
    drop(free);
    command.output().expect("opmeter runs")
}

#[test]
fn one_command_shows_operations_and_series_of_both_sides() {
    let Some((envoy, module)) = parts() else { return };
    let output = run(&envoy, &module, None);
    let (shown, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{told}");
    for reporter in ["source", "destination"] {
        let row = shown.lines().find(|l| l.contains("get_items") && l.contains(reporter));
        assert!(row.is_some(), "get_items by {reporter} in {shown}");
        let start = format!("istio_requests_total{{reporter=\"{reporter}\"");
        let series = shown.lines().find(|line| {
            line.starts_with(&start)
                && line.contains("request_operation=\"get_items\"")
                && line.contains("source_workload=\"productpage-v1\"")
                && line.contains("destination_workload=\"ratings-v1\"")
        });
        assert!(series.is_some(), "the series of {reporter} in {shown}");
    }
}

/// Where both directions share a configuration, each side knows the other in calls both ways, as mutual TLS has it.
#[test]
fn one_configuration_serves_both_directions() {
    let Some((envoy, module)) = parts() else { return };
    let output = run_with(&envoy, &module, &[("SHARED", "1"), ("MTLS", "1")]);
    let (shown, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{told}");
    // Two rounds of each application: 9 reads, of which one fails, in each.
    for reporter in ["source", "destination"] {
        let row = shown.lines().find(|l| l.contains("get_items") && l.contains(reporter));
        let cells: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
        assert_eq!(cells.get(2..4), Some(&["36", "4"][..]), "get_items by {reporter} in {shown}");
        for [source, destination] in [["productpage", "ratings"], ["ratings", "productpage"]] {
            let labels = [
                format!("istio_requests_total{{reporter=\"{reporter}\""),
                format!("source_workload=\"{source}-v1\""),
                format!("source_principal=\"spiffe://cluster.local/ns/default/sa/{source}\""),
                format!("destination_workload=\"{destination}-v1\""),
                format!("destination_service_name=\"{destination}\""),
                "upstream_operation=\"get_items\"} 16".to_owned(),
            ];
            let is_it = |line: &&str| labels.iter().all(|label| line.contains(label.as_str()));
            assert_eq!(shown.lines().filter(is_it).count(), 1, "{labels:?} in {shown}");
        }
    }
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let Some((envoy, module)) = parts() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let output = run(&envoy, &module, Some(("SERVER_ADMIN_PORT", port)));
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    let sentence =
        format!("opmeter: port {port} on 127.0.0.1 is taken; move it with SERVER_ADMIN_PORT=...\n");
    assert_eq!(told, sentence);
}

#[test]
fn a_missing_module_is_one_clear_sentence() {
    let Some((envoy, _)) = parts() else { return };
    let output = run(&envoy, Path::new("nowhere.wasm"), None);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("opmeter: ") && told.contains("nowhere.wasm"), "{told}");
}

/// How much of a picture has this colour, in pixels.
fn coloured(pixels: &[u8], colour: [u8; 3]) -> usize {
    pixels.chunks_exact(4).filter(|pixel| pixel[..3] == colour).count()
}

/// The page as a browser shows it.
fn screenshot(chromium: &str, page: &Path, folder: &Path) -> Vec<u8> {
    let picture = folder.join("page.png");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--window-size=1000,3100"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("Chromium runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let file = std::fs::File::open(&picture).unwrap_or_else(|_| panic!("no screenshot: {told}"));
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::ALPHA);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!((info.width, info.height, info.color_type), (1000, 3100, png::ColorType::Rgba));
    pixels
}

/// A page that needs nothing else, with the numbers of the run, and shown by a browser.
#[test]
fn the_demo_report_is_a_page_that_a_browser_shows() {
    let Some((envoy, module)) = parts() else { return };
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set"));
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let pictures = folder.path().join("pictures");
    let output = run_with(
        &envoy,
        &module,
        &[
            ("PROMETHEUS", &variable("OPMETER_PROMETHEUS")),
            ("REPORT", &page.to_string_lossy()),
            ("PICTURES", &pictures.to_string_lossy()),
            ("MTLS", "1"),
            ("ROUNDS", "20"),
        ],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let html = std::fs::read_to_string(&page).expect("a page");
    // 20 rounds: of 180 reads 20 failed, of 80 creations 20 were wrong.
    for row in [
        "<td>get_items</td><td>180</td><td>0</td><td>20</td>",
        "<td>create_items</td><td>80</td><td>20</td><td>0</td>",
        "<dt>requests sent</dt><dd>400</dd>",
        "<dd>mutual TLS</dd>",
        ">productpage-v1</text>",
        ">ratings-v1</text>",
        "histogram_quantile(0.9, sum by (request_operation, le)",
    ] {
        assert!(html.contains(row), "{row} in {html}");
    }
    let own = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for link in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!own.contains(link), "{link} in {own}");
    }
    let pixels = screenshot(&variable("OPMETER_CHROMIUM"), &page, folder.path());
    // The first series' blue, the red of what failed and the darkest cell of the heat map: all pictures are there.
    for (colour, least) in
        [([0x2f, 0x6f, 0xd0], 500), ([0xc8, 0x35, 0x2b], 20), ([0x7f, 0x30, 0x0a], 100)]
    {
        let found = coloured(&pixels, colour);
        assert!(found >= least, "{found} pixels of {colour:x?}");
    }
    for name in ["opmeter-operations", "opmeter-proxies", "opmeter-service-map", "topology"] {
        let svg = std::fs::read_to_string(pictures.join(format!("{name}.svg"))).expect("a picture");
        let picture = roxmltree::Document::parse(&svg).expect("XML");
        let texts = picture.descendants().filter(|node| node.tag_name().name() == "text").count();
        assert!(texts >= 10, "{texts} texts in {name}");
        assert!(
            picture.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")),
            "{name}"
        );
    }
}

/// Every request is in what Prometheus answers.
#[test]
fn prometheus_holds_what_both_sidecars_counted() {
    let Some((envoy, module)) = parts() else { return };
    let prometheus = std::env::var("OPMETER_PROMETHEUS").expect("OPMETER_PROMETHEUS is set");
    let output = run_with(&envoy, &module, &[("PROMETHEUS", &prometheus)]);
    let (shown, told) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}{told}");
    let (_, answers) = shown.split_once("\nPrometheus:").expect("answers of Prometheus");
    // Two rounds: 9 reads, 4 creations, 3 deletions and 4 others in each, of which some fail.
    for (operation, requests, errors) in
        [("get_items", "18", "0.11"), ("create_items", "8", "0.25"), ("unknown", "8", "0.75")]
    {
        for value in [requests, errors] {
            let line = format!("  {operation:<14} {value:>8}");
            assert!(answers.lines().any(|l| l == line), "{line:?} in {answers}");
        }
    }
}

#[test]
fn a_missing_prometheus_is_one_clear_sentence() {
    let Some((envoy, module)) = parts() else { return };
    let output = run_with(&envoy, &module, &[("PROMETHEUS", "/nowhere/prometheus")]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    let sentence = "opmeter: no Prometheus at /nowhere/prometheus; PROMETHEUS=1 gets Debian's, \
                    PROMETHEUS=/path/to/prometheus uses your own\n";
    assert_eq!(told, sentence);
}
