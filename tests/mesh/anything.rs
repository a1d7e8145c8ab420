//! Any bytes anywhere: whatever clients and servers send, it is answered as without the module, counted once, and stays
//! inside its label.

use crate::real_envoy;
use anyhow::Result;
use std::collections::BTreeSet;
use std::time::Duration;
use support::mesh::Sidecar;
use support::scrape::Scrape;
use support::second_reader::{python, read};
use support::series::Series;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Labels that the configuration adds, and what they are made of.
const DIMENSIONS: [(&str, &str); 9] = [
    ("any_path", "request.path"),
    ("any_method", "request.method"),
    ("any_host", "request.host"),
    ("any_header", "request.headers['x-any']"),
    ("any_agent", "request.useragent"),
    ("any_answer", "response.headers['x-answer']"),
    ("any_details", "response.code_details"),
    ("any_role", "filter_state.downstream_peer.labels['role']"),
    ("operation", "operation"),
];

/// What the module tells beside its metrics of requests.
const OWN: [&str; 12] = [
    "istio_build",
    "opmeter_build",
    "opmeter_config_accepted_total",
    "opmeter_config_errors_total",
    "opmeter_config_rejected_total",
    "opmeter_config_unreadable_total",
    "opmeter_duplicate_streams_total",
    "opmeter_evaluation_errors_total",
    "opmeter_host_errors_total",
    "opmeter_peer_decode_errors_total",
    "opmeter_series",
    "opmeter_series_overflow_total",
];

/// Texts that want to be more than a value.
const FORGERIES: [&[u8]; 14] = [
    b";.;reporter=.=source;.;istio_requests_total",
    b"=.=;.;forged=.=yes;.;",
    b"\"} 7 # istio_forged_total 1",
    b"\",forged=\"yes",
    b"\\\",forged=\\\"yes\\\\",
    b"component.proxy.tag.9;.istio_build",
    b"cluster.forged.upstream_rq_200",
    b"wasmcustom.istio_forged_total",
    b"\x80\xff\xfe\xa0",
    b"\xe2\x80\xae\xf0\x9f\xa6\x80",
    b"\xed\xa0\x80\xc0\xaf",
    b"overflow",
    b"unknown",
    b"%00%0a%0d%22",
];

fn config() -> String {
    let dimensions: serde_json::Map<_, _> =
        DIMENSIONS.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
    serde_json::json!({
        "attributes": [
            { "output_attribute": "operation", "phase": "ON_REQUEST", "match": [
                { "value": "matched", "condition": "request.headers['x-any'].matches('^a+$')" },
            ] },
            { "output_attribute": "operation", "operations": [
                { "path": "/{a}" }, { "path": "/{a}/{b}.json" }, { "path": "/static/{*rest}" },
            ] },
        ],
        "metrics": [{ "dimensions": dimensions }],
        "metadata_exchange": { "additional_labels": ["role"] },
        "limits": { "max_series": 2_000 },
    })
    .to_string()
}

fn request(head: &[u8], headers: &[u8]) -> Vec<u8> {
    [head, b" HTTP/1.1\r\nconnection: close\r\n", headers, b"\r\n"].concat()
}

/// Header lines, each a value of `name`.
fn header(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", value, b"\r\n"].concat()
}

/// What clients send.
fn requests() -> Vec<Vec<u8>> {
    const HOST: &[u8] = b"host: ratings\r\n";
    let mut all = vec![
        request(b"GET /", b""),
        request(b"GET *", HOST),
        request(b"OPTIONS *", HOST),
        request(b"GET http://elsewhere/absolute?x#y", HOST),
        request(b"CONNECT elsewhere:443", HOST),
        request(b"GET ", HOST),
        request(b"get /lower", HOST),
        request(b"GET //a//b/../c;d?e=f#g", HOST),
        request(&[b"GET /", [b'a'; 9_000].as_slice()].concat(), HOST),
        request(b"GET /two", b"host: a\r\nhost: b\r\n"),
        request(b"GET /empty", b"host: \r\n"),
        request(b"GET /long", &header("host", &[b'h'; 9_000])),
        request(b"GET /nul", &[HOST, &header("x-any", b"a\0b")].concat()),
        request(b"GET /fold", b"host: ratings\r\nx-any: a\r\n b\r\n"),
        request(b"GET /name", b"host: ratings\r\nx an y: a\r\n: empty\r\n"),
        request(b"GET /http", b"host: ratings\r\ncontent-length: -1\r\n"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01".repeat(4),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
    ];
    for forgery in FORGERIES {
        // A method is a token, a path has no spaces: what is not one Envoy refuses, in either case.
        all.push(request(&[forgery, b" /method"].concat(), HOST));
        all.push(request(&[b"GET /", forgery].concat(), HOST));
        all.push(request(b"GET /host", &header("host", forgery)));
        let names = [
            "x-any",
            "user-agent",
            "content-type",
            "te",
            "grpc-timeout",
            "x-request-id",
            "baggage",
        ];
        for name in names {
            all.push(request(b"GET /a/b.json", &[HOST, &header(name, forgery)].concat()));
        }
        for prefix in [&b"application/grpc"[..], b"application/grpc+"] {
            let content = header("content-type", &[prefix, forgery].concat());
            all.push(request(b"POST /service/Method", &[HOST, &content].concat()));
        }
    }
    // Every byte that a header value may have.
    let bytes: Vec<u8> = (0x20..=0xff).filter(|byte| *byte != 0x7f).collect();
    all.push(request(b"GET /bytes", &[HOST, &header("x-any", &bytes)].concat()));
    all.push(request(b"GET /long", &[HOST, &header("x-any", &[0xff; 20_000])].concat()));
    let grpc = header("content-type", b"application/grpc");
    for number in 0..answers().len() {
        let answer = header("x-number", number.to_string().as_bytes());
        all.push(request(b"POST /answer", &[HOST, &answer].concat()));
        all.push(request(b"POST /answer", &[HOST, &answer, &grpc].concat()));
    }
    all
}

/// What servers send.
fn answers() -> Vec<Vec<u8>> {
    let answer = |status: &str, headers: &[u8]| {
        [
            format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n").as_bytes(),
            headers,
            b"\r\nok",
        ]
        .concat()
    };
    let mut all = vec![
        answer("200 OK", b"x-answer: plain\r\n"),
        answer("299 ;.;reporter=.=source;.;", b""),
        answer("999 Far", b""),
        answer("600 Out", b""),
        answer("099 Low", b""),
        answer("-1 Less", b""),
        answer("20 Short", b""),
        answer("100 Continue", b""),
        answer("101 Switching", b"upgrade: forged\r\n"),
        answer("204 Nothing", b""),
        answer("304 Same", b""),
        answer("200 OK", b"content-length: 7\r\n"),
        answer("200 OK", &header("x-answer", &[0xfe; 20_000])),
        answer("200 OK", b"x-answer: a\0b\r\n"),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: forged\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\nless".to_vec(),
        b"\x00\xff no http".to_vec(),
        Vec::new(),
    ];
    for forgery in FORGERIES {
        for name in ["x-answer", "grpc-message", "content-type", "x-envoy-upstream-service-time"] {
            all.push(answer("200 OK", &header(name, forgery)));
        }
    }
    for status in
        ["-1", "99999999999999999999", "17", "0;.;reporter=.=source", "0x1", "", "1,2", " 5 "]
    {
        all.push(answer("200 OK", &header("grpc-status", status.as_bytes())));
    }
    all
}

/// A server that closes after each answer. It answers as the header `x-number` asks, and with `ok` where it does not.
async fn serve() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
                while !got.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(read) if read > 0 => got.extend_from_slice(&buffer[..read]),
                        _ => return,
                    }
                }
                let text = String::from_utf8_lossy(&got).to_ascii_lowercase();
                let number = text
                    .split("x-number: ")
                    .nth(1)
                    .and_then(|rest| rest.split('\r').next()?.parse().ok());
                let plain =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec();
                let answer = number.map_or(plain, |number: usize| answers()[number].clone());
                // Envoy may have gone away.
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    Ok(port)
}

/// Sends bytes as they are and reads what comes, until the connection is closed or nothing comes any more.
async fn exchange(port: u16, message: &[u8]) -> Result<Vec<u8>> {
    const SILENCE: Duration = Duration::from_secs(2);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(message).await?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    // A broken connection is an end as well.
    while let Ok(Ok(read @ 1..)) = timeout(SILENCE, stream.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(answer)
}

/// An answer without what differs from time to time.
fn comparable(answer: &[u8]) -> Vec<String> {
    let text: String = answer.iter().map(|byte| byte.escape_ascii().to_string()).collect();
    let varying = ["date:", "x-envoy-upstream-service-time:", "x-request-id:"];
    let lines = text.split("\\r\\n").map(str::to_owned);
    lines.filter(|line| !varying.iter().any(|name| line.starts_with(name))).collect()
}

fn check_labels(series: &Series, expected: &BTreeSet<&str>) {
    let names: BTreeSet<&str> =
        series.labels.keys().map(String::as_str).filter(|name| *name != "le").collect();
    assert!(names.is_subset(expected), "{series}");
    assert_eq!(series.labels["reporter"], "destination", "{series}");
    assert_eq!(series.labels["destination_workload"], "ratings-v1", "{series}");
    for value in series.labels.values() {
        assert!(value.len() <= 256 && !value.contains(";.;") && !value.contains("=.="), "{series}");
        assert!(!value.chars().any(char::is_control), "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_answered_and_counted_and_stays_a_value() {
    let (Some(envoy), Some(python)) = (real_envoy(), python()) else { return };
    let upstream = serve().await.unwrap();
    let mut sidecar = Sidecar::ratings(upstream);
    sidecar.config = config();
    sidecar.dimensions = DIMENSIONS.iter().map(|(name, _)| name.to_string()).collect();
    let proxy = sidecar.start(&envoy).await.unwrap();
    sidecar.filter = false;
    let bare = sidecar.start(&envoy).await.unwrap();
    for message in requests() {
        let (answer, expected) = tokio::join!(
            exchange(proxy.traffic_port, &message),
            exchange(bare.traffic_port, &message),
        );
        let (answer, expected) = (answer.unwrap(), expected.unwrap());
        assert_eq!(comparable(&answer), comparable(&expected), "{}", message.escape_ascii());
    }
    let total = Scrape::of(&bare).await.unwrap().total("envoy_http_entry_downstream_rq_total");
    assert!(total > 250.0, "Envoy saw {total} requests only");
    let metrics =
        ["istio_requests_total", "istio_request_bytes_count", "istio_response_bytes_count"];
    for metric in metrics {
        Scrape::when(&proxy, metric, total).await.unwrap();
    }
    let scrape = Scrape::of(&proxy).await.unwrap();
    assert_eq!(scrape.total("envoy_http_entry_downstream_rq_total"), total);
    assert_eq!(scrape.total("opmeter_host_errors_total"), 0.0);
    assert_eq!(scrape.total("envoy_wasm_opmeter_vm_reload"), 0.0);
    let expected: BTreeSet<&str> = opmeter_core::metric::standard::HTTP_LABELS
        .iter()
        .map(|label| label.name())
        .chain(DIMENSIONS.iter().map(|(name, _)| *name))
        .collect();
    let samples = read(&python, &scrape.text);
    assert_eq!(samples.len(), scrape.series().len());
    let ours = samples.iter().filter(|s| s.name.contains("istio") || s.name.contains("opmeter_"));
    let ours: Vec<&Series> = ours.filter(|s| !s.name.starts_with("envoy_wasm_")).collect();
    let known = [
        "istio_requests_total",
        "istio_request_bytes",
        "istio_response_bytes",
        "istio_request_duration_milliseconds",
    ];
    for series in ours {
        if OWN.contains(&series.name.as_str()) {
            continue;
        }
        let name =
            ["_bucket", "_count", "_sum"].iter().find_map(|end| series.name.strip_suffix(end));
        assert!(known.contains(&name.unwrap_or(&series.name)), "{series}");
        check_labels(series, &expected);
    }
    // And it still works.
    let message = request(b"GET /after", b"host: ratings\r\n");
    exchange(proxy.traffic_port, &message).await.unwrap();
    let scrape = Scrape::when(&proxy, "istio_requests_total", total + 1.0).await.unwrap();
    let after =
        scrape.all("istio_requests_total").into_iter().find(|s| s.labels["any_path"] == "/after");
    assert_eq!(after.map(|series| series.value), Some(1.0));
}
