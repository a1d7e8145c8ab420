//! `opmeter scrape`, `top` and `doctor` with real Envoys.

mod command;

use std::path::Path;

use command::envoy::{self, free_ports};
use command::opmeter;
use command::sidecar::Sidecar;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn doctor(sidecar: &Sidecar) -> (i32, String) {
    let output = opmeter(here(), &["doctor", &sidecar.running.admin]);
    assert_eq!(output.stderr, "");
    (output.code, output.stdout)
}

fn unchanged(text: String) -> String {
    text
}

#[test]
fn scrape_shows_the_operations_of_a_proxy() {
    let Some(sidecar) = Sidecar::start(unchanged) else { return };
    sidecar.call("/items/7", 3);
    sidecar.call("/orders", 2);
    sidecar.call("/other", 1);
    let output = opmeter(here(), &["scrape", &sidecar.scrape]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}", output.stdout);
    let rows: Vec<Vec<&str>> =
        output.stdout.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    // Nothing answers behind it, so all are errors.
    let expected = [
        ["get_item", "destination", "3"],
        ["orders", "destination", "2"],
        ["unknown", "destination", "1"],
    ];
    assert_eq!(rows.len(), 3, "{}", output.stdout);
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(
            (&row[..3], &row[3..5]),
            (&expected[..], &["100.0", "%"][..]),
            "{}",
            output.stdout
        );
    }
    let args = ["scrape", &sidecar.scrape, "--by", "response_code", "--format", "json"];
    let json: serde_json::Value =
        serde_json::from_str(&opmeter(here(), &args).stdout).expect("JSON");
    assert_eq!(json["operations"][0]["labels"], serde_json::json!({"response_code": "503"}));
    assert_eq!(json["operations"][0]["requests"], 6.0);
}

#[test]
fn top_shows_rates_where_there_is_no_terminal() {
    let Some(sidecar) = Sidecar::start(unchanged) else { return };
    sidecar.call("/items/7", 1);
    let address = sidecar.scrape.clone();
    let traffic = sidecar.traffic.clone();
    let busy = std::thread::spawn(move || {
        for _ in 0..60 {
            envoy::get(&traffic, "/items/7").expect("an answer");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let args = ["top", &address, "--interval", "0.5", "--count", "1", "--filter", "get_"];
    let output = opmeter(here(), &args);
    busy.join().expect("requests");
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}", output.stdout);
    let row = output.stdout.lines().find(|line| line.contains("get_item")).expect("a row");
    let rate: f64 = row.split_whitespace().nth(2).expect("a rate").parse().expect("a number");
    // 60 requests within some 1.3 s, seen for half a second of it.
    assert!((5.0..100.0).contains(&rate), "{row}");
    assert!(row.contains("100.0 %"), "{row}");
}

#[test]
fn an_address_without_a_proxy_is_one_sentence() {
    let [port] = free_ports();
    for command in ["scrape", "top", "doctor"] {
        let output = opmeter(here(), &[command, &format!("127.0.0.1:{port}")]);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{command}");
        assert!(output.stderr.starts_with("opmeter: no "), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn doctor_is_content_with_a_sound_proxy() {
    let Some(sidecar) = Sidecar::start(unchanged) else { return };
    let (code, said) = doctor(&sidecar);
    assert!(code == 0 && said.contains("note     no request has passed yet"), "{said}");
    sidecar.call("/items/7", 1);
    let (code, said) = doctor(&sidecar);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("fine     the module is mounted in 1 of 2 listeners\n"), "{said}");
    assert!(said.contains("fine     1 series of istio_requests_total"), "{said}");
    assert!(!said.contains("problem"), "{said}");
}

#[test]
fn doctor_finds_that_the_module_is_not_loaded() {
    // Another module, here the same file under a name that says nothing, is not ours.
    let without = |text: String| {
        let start = text.find("          - name: opmeter\n").expect("the filter");
        let end = text.find("          - name: envoy.filters.http.grpc_stats").expect("the next");
        format!("{}{}", &text[..start], &text[end..])
    };
    let Some(sidecar) = Sidecar::start(without) else { return };
    sidecar.call("/items/7", 1);
    let (code, said) = doctor(&sidecar);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("problem  the module is not loaded: none of 2 listeners has it\n"),
        "{said}"
    );
    assert!(said.contains("note     1 request has passed, none through the module"), "{said}");
}

#[test]
fn doctor_finds_labels_without_tags() {
    let without = |text: String| {
        text.replace("tag_name: response_code\n", "tag_name: other_code\n")
            .replace("tag_name: request_operation\n", "tag_name: other_operation\n")
            .replace("(response_code=", "(other_code=")
            .replace("(request_operation=", "(other_operation=")
    };
    let Some(sidecar) = Sidecar::start(without) else { return };
    sidecar.call("/items/7", 1);
    let (code, said) = doctor(&sidecar);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("problem  label \"request_operation\" has no stats tag\n"), "{said}");
    assert!(
        said.contains(
            "problem  labels stand in the names of metrics: response_code, request_operation\n"
        ),
        "{said}"
    );
}
