//! Templates, the matcher and OpenAPI documents: rules as tables, and the matcher against naive reference matchers.

mod random;

use opmeter_core::expr::{Expr, Facts, Read, Slot, Slots, Source, Value, Vocabulary, compile};
use opmeter_core::json::Json;
use opmeter_core::operation::{Conflict, Found, MatcherBuilder, Template, Tree, openapi};
use serde_json::json;

#[track_caller]
fn template(text: &str, matching: &[&str], other: &[&str]) {
    let template = Template::parse(text).unwrap();
    let mut tree = Tree::default();
    tree.insert(None, &template, 7).unwrap();
    for path in matching {
        assert!(template.matches(path.as_bytes()), "{text} matches {path}");
        assert_eq!(tree.find(b"GET", path.as_bytes()), Some(7), "{text} finds {path}");
    }
    for path in other {
        assert!(!template.matches(path.as_bytes()), "{text} does not match {path}");
        assert_eq!(tree.find(b"GET", path.as_bytes()), None, "{text} does not find {path}");
    }
}

fn read(document: &serde_json::Value) -> Json {
    serde_json::from_value(document.clone()).unwrap()
}

#[test]
fn template_rules() {
    template("/", &["/", "/?a", "/#a"], &["", "//", "/a", "*"]);
    template(
        "/users",
        &["/users", "/users?x=/", "/users#/a"],
        &["/users/", "/Users", "/user", "/users/a"],
    );
    template("/users/", &["/users/"], &["/users", "/users//"]);
    template(
        "/users/{id}",
        &["/users/7", "/users/%2F", "/users/a%2Fb"],
        &["/users/", "/users", "/users/7/", "/users/a/b"],
    );
    template(
        "/users/{id}/orders/{order_id}",
        &["/users/7/orders/9"],
        &["/users//orders/9", "/users/7/orders/"],
    );
    template(
        "/static/{*rest}",
        &["/static/", "/static/a", "/static/a/b/"],
        &["/static", "/statics/a"],
    );
    template("/{*rest}", &["/", "/a", "/a/b"], &[""]);
    template(
        "/pkg.Service/Method",
        &["/pkg.Service/Method"],
        &["/pkg.Service/method", "/pkg.Service"],
    );
    template(
        "/files/{name}.json",
        &["/files/a.json", "/files/a.b.json"],
        &["/files/.json", "/files/a", "/files/a/.json"],
    );
    template(
        "/v1/{a}-{b}",
        &["/v1/x-y", "/v1/x-y-z", "/v1/--x"],
        &["/v1/-y", "/v1/x-", "/v1/--", "/v1/-"],
    );
    template("/v1/{id}:cancel", &["/v1/9:cancel"], &["/v1/:cancel", "/v1/9"]);
}

#[test]
fn percent_encoding_is_decoded_on_both_sides() {
    template("/a b", &["/a%20b", "/a b", "/%61%20%62"], &["/a+b"]);
    template("/a%20b", &["/a%20b", "/a b"], &["/a%2520b"]);
    template("/a%2Fb", &["/a%2fb", "/a%2Fb"], &["/a/b", "/a%252Fb"]);
    template("/100%", &["/100%", "/100%25"], &["/100"]);
    template("/%zz", &["/%zz", "/%25zz"], &[]);
    template("/é", &["/%C3%A9", "/%c3%a9"], &[]);
}

#[test]
fn invalid_templates() {
    for (text, message) in [
        ("", "a path template begins with \"/\""),
        ("users", "a path template begins with \"/\""),
        ("/{id", "unbalanced \"{\" or \"}\""),
        ("/id}", "unbalanced \"{\" or \"}\""),
        ("/{a/b}", "unbalanced \"{\" or \"}\""),
        ("/{}", "invalid parameter name \"\", allowed are letters, digits, \"_\", \"-\" and \".\""),
        (
            "/{a b}",
            "invalid parameter name \"a b\", allowed are letters, digits, \"_\", \"-\" and \".\"",
        ),
        (
            "/{*}",
            "invalid parameter name \"\", allowed are letters, digits, \"_\", \"-\" and \".\"",
        ),
        ("/{*rest}/a", "\"{*name}\" has to be the whole last segment"),
        ("/a{*rest}", "\"{*name}\" has to be the whole last segment"),
        ("/{*rest}a", "\"{*name}\" has to be the whole last segment"),
        ("/{a}{b}", "two parameters need text between them"),
        ("/a?b", "a path template has no query or fragment"),
        ("/a#b", "a path template has no query or fragment"),
    ] {
        assert_eq!(Template::parse(text).unwrap_err().to_string(), message, "{text}");
    }
    let long = "/a".repeat(65);
    assert_eq!(
        Template::parse(&long).unwrap_err().to_string(),
        "longer than 2048 bytes or 64 segments"
    );
}

#[test]
fn the_more_specific_template_wins_in_any_order() {
    let ranked = [
        "/a/b/c",
        "/a/b/{x}",
        "/a/b/{*r}",
        "/a/p{x}q/c",
        "/a/p{x}/c",
        "/a/{x}/c",
        "/a/{x}/{y}",
        "/a/{*r}",
        "/{x}/b/c",
        "/{*r}",
    ];
    let paths = [
        ("/a/b/c", 0),
        ("/a/b/d", 1),
        ("/a/b/d/e", 2),
        ("/a/pxq/c", 3),
        ("/a/px/c", 4),
        ("/a/x/c", 5),
        ("/a/px/d", 6),
        ("/a/x", 7),
        ("/b/b/c", 8),
        ("/b", 9),
    ];
    for reverse in [false, true] {
        let mut order: Vec<usize> = (0..ranked.len()).collect();
        if reverse {
            order.reverse();
        }
        let mut tree = Tree::default();
        for at in order {
            tree.insert(None, &Template::parse(ranked[at]).unwrap(), at as u32).unwrap();
        }
        for (path, value) in paths {
            assert_eq!(tree.find(b"GET", path.as_bytes()), Some(value), "{path}");
        }
    }
}

#[test]
fn methods_are_case_sensitive_and_one_method_wins_over_any() {
    let mut tree = Tree::default();
    let a = Template::parse("/a").unwrap();
    for (method, value) in [(None, 0), (Some("GET"), 1), (Some("PUT"), 2)] {
        tree.insert(method, &a, value).unwrap();
    }
    tree.insert(Some("POST"), &Template::parse("/{x}").unwrap(), 3).unwrap();
    tree.insert(Some("POST"), &Template::parse("/b").unwrap(), 4).unwrap();
    tree.insert(Some("GET"), &Template::parse("/{x}").unwrap(), 5).unwrap();
    for (method, path, value) in [
        ("GET", "/a", 1),
        ("PUT", "/a", 2),
        ("get", "/a", 0),
        ("POST", "/a", 0),
        ("POST", "/b", 4),
        ("GET", "/b", 5),
    ] {
        assert_eq!(tree.find(method.as_bytes(), path.as_bytes()), Some(value), "{method} {path}");
    }
    assert_eq!(tree.find(b"PUT", b"/b"), None);
    assert_eq!(tree.insert(None, &a, 9), Err(Conflict { with: 0 }));
    assert_eq!(tree.insert(Some("PUT"), &a, 9), Err(Conflict { with: 2 }));
    assert_eq!(
        tree.insert(Some("GET"), &Template::parse("/{y}").unwrap(), 9),
        Err(Conflict { with: 5 })
    );
}

/// Facts of a request for conditions.
struct Request<'r>(&'r Slots, &'r [u8], &'r [u8]);

impl Facts for Request<'_> {
    fn get(&self, slot: Slot) -> Option<Value<'_>> {
        let Read { source: Source::Attribute(id), .. } = self.0.read(slot)? else { return None };
        let end = self.2.iter().position(|b| *b == b'?').unwrap_or(self.2.len());
        Some(Value::Str(match id.attribute()?.name {
            "request.method" => self.1,
            "request.path" => self.2,
            "request.url_path" => &self.2[..end],
            "request.host" => b"h",
            _ => return None,
        }))
    }
}

fn naive(
    conditions: &[Expr],
    slots: &Slots,
    method: &[u8],
    path: &[u8],
) -> Result<Option<Found>, ()> {
    for (at, condition) in conditions.iter().enumerate() {
        let request = Request(slots, method, path);
        if condition.program().unwrap().test(&request, &mut Vec::new()).map_err(drop)? {
            return Ok(Some(Found::Condition(at as u32)));
        }
    }
    Ok(None)
}

#[track_caller]
fn check(texts: &[String], requests: &[(String, String)], open: Option<usize>) {
    let mut slots = Slots::default();
    let conditions: Vec<Expr> = texts
        .iter()
        .map(|text| compile(text, &Vocabulary::default(), &mut slots).unwrap())
        .collect();
    let mut builder = MatcherBuilder::default();
    for condition in &conditions {
        builder.condition(Some(condition), &slots);
    }
    let matcher = builder.build();
    if let Some(open) = open {
        assert_eq!(matcher.open().len(), open, "{texts:?}");
    }
    for (method, path) in requests {
        let (method, path) = (method.as_bytes(), path.as_bytes());
        let request = Request(&slots, method, path);
        let found = matcher.find(method, path, path, |number| {
            let program = conditions[number as usize].program().unwrap();
            program.test(&request, &mut Vec::new()).map_err(drop)
        });
        let expected = naive(&conditions, &slots, method, path);
        assert_eq!(found, expected, "{texts:?}\n{}", String::from_utf8_lossy(path));
    }
}

#[test]
fn conditions_of_path_and_method_need_no_program() {
    let texts = [
        "request.url_path == '/a' && request.method == 'GET'",
        "request.url_path in ['/a', '/b'] && request.method in ['GET', 'PUT']",
        "'/c?x' == request.path || request.url_path.endsWith('.js')",
        "request.url_path.startsWith('/d/') && !request.url_path.contains('/no/')",
        "request.url_path.matches('^/e/[0-9]+$') || request.method != 'GET' && request.path.matches('z$')",
        "!(request.method == 'GET' || request.url_path.startsWith('/f'))",
        "request.method == 'OPTIONS'",
        "true",
    ];
    let texts: Vec<String> = texts.map(Into::into).into();
    let paths = [
        "/a", "/b", "/c?x", "/c", "/x.js", "/x.js?a", "/d/1", "/d/no/1", "/e/12", "/e/x", "/z",
        "/f", "/q?z", "",
    ];
    let requests: Vec<_> = ["GET", "PUT", "OPTIONS", "get"]
        .iter()
        .flat_map(|method| paths.iter().map(|path| ((*method).into(), (*path).into())))
        .collect();
    check(&texts, &requests, Some(0));
}

#[test]
fn an_open_condition_keeps_its_place() {
    let texts = ["request.path == '/a'", "request.host == 'h'", "request.path.startsWith('/')"];
    let texts: Vec<String> = texts.map(Into::into).into();
    check(&texts, &[("GET".into(), "/a".into()), ("GET".into(), "/b".into())], Some(1));
    // Unknown is unknown: nothing after it wins, whatever stands before it does.
    let texts = ["request.path == '/a'", "request.referer == 'h'", "true"].map(Into::into);
    check(&texts, &[("GET".into(), "/a".into()), ("GET".into(), "/b".into())], Some(1));
}

#[test]
fn conditions_then_operations_then_openapi() {
    let mut slots = Slots::default();
    let condition = compile("request.path == '/a/1'", &Vocabulary::default(), &mut slots).unwrap();
    let mut builder = MatcherBuilder::default();
    builder.condition(Some(&condition), &slots);
    builder.operation(Some("GET"), &Template::parse("/a/{x}").unwrap()).unwrap();
    let document =
        json!({"openapi": "3.0.3", "paths": {"/a/2": {"get": {}}, "/b/{x}": {"get": {}}}});
    openapi(&read(&document))
        .unwrap()
        .iter()
        .for_each(|operation| builder.described(operation).unwrap());
    let matcher = builder.build();
    let find = |path: &str| {
        matcher.find(b"GET", path.as_bytes(), path.as_bytes(), |_| Err("not open")).unwrap()
    };
    assert_eq!(find("/a/1"), Some(Found::Condition(0)));
    assert_eq!(find("/a/2"), Some(Found::Operation(0)));
    assert_eq!(find("/b/2"), Some(Found::Described(1)));
    assert_eq!(find("/c"), None);
}

#[test]
fn openapi_servers_and_references() {
    let document = json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://{host}.example.com/{base}/", "variables": {"host": {"default": "a"}, "base": {"default": "v2"}}},
            {"url": "//b.example.com/v2"}],
        "paths": {
            "x-note": "ignored",
            "/a": {"get": {"operationId": "getA"}, "parameters": [], "post": {"servers": [{"url": "/x"}, {"url": "y"}]}},
            "/b": {"servers": [{"url": "https://example.com"}], "put": {}},
            "/c": {"$ref": "#/components/pathItems/c"},
        },
        "components": {"pathItems": {"c": {"delete": {"operationId": "dropC"}}}},
    });
    let names: Vec<String> = openapi(&read(&document))
        .unwrap()
        .iter()
        .map(|o| format!("{} {} = {}", o.method, o.template.text(), o.name))
        .collect();
    assert_eq!(
        names,
        [
            "GET /v2/a = getA",
            "POST /x/a = POST /x/a",
            "POST /y/a = POST /y/a",
            "PUT /b = PUT /b",
            "DELETE /v2/c = dropC",
        ]
    );
}

/// A default is not looked into, and what many long ones add up to stays small.
#[test]
fn openapi_variables_are_replaced_once() {
    let template = |url: &str, a: &str, b: &str| {
        let variables = json!({"a": {"default": a}, "b": {"default": b}});
        let servers = json!([{"url": url, "variables": variables}]);
        let document =
            json!({"openapi": "3.1.0", "servers": servers, "paths": {"/x": {"get": {}}}});
        openapi(&read(&document)).map(|operations| operations[0].template.text().to_owned())
    };
    assert_eq!(template("/{a}/{b}", "{b}", "v1").as_deref(), Ok("/{b}/v1/x"));
    assert_eq!(template("/{a", "v1", "").unwrap_err()[0].place, "paths[\"/x\"].get");
    // Each in the other's default, 4 to the power of 1,000 if it were looked into; then 20,000 times 20,000 bytes.
    assert!(template(&"{a}".repeat(1_000), &"{b}".repeat(1_000), "{a}{a}{a}{a}").is_err());
    let problems = template(&"/{a}".repeat(20_000), &"v".repeat(20_000), "").unwrap_err();
    assert!(problems[0].message.ends_with("longer than 2048 bytes or 64 segments"));
    assert!(problems[0].message.len() < 200_000);
}

#[test]
fn invalid_documents() {
    for (document, message) in [
        (json!({}), "not an OpenAPI document: the field \"openapi\" with its version is missing"),
        (json!({"swagger": "2.0"}), "swagger 2.0 document, OpenAPI 3.0 or 3.1 is needed"),
        (json!({"openapi": "4.0.0"}), "OpenAPI version 4.0.0, 3.0 or 3.1 is needed"),
        (json!({"openapi": "3.0.0", "paths": []}), "paths: expected an object"),
        (json!({"openapi": "3.0.0", "paths": {"/a": 1}}), "paths[\"/a\"]: expected an object"),
        (
            json!({"openapi": "3.0.0", "paths": {"/a": {"$ref": "b.json"}}}),
            "paths[\"/a\"]: $ref \"b.json\" is not in this document",
        ),
        (
            json!({"openapi": "3.0.0", "paths": {"/{a": {"get": {}}}}),
            "paths[\"/{a\"].get: invalid path \"/{a\": unbalanced \"{\" or \"}\"",
        ),
    ] {
        let problems = openapi(&read(&document)).unwrap_err();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
    }
}
