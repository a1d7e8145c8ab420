//! Operations of an OpenAPI 3.0 or 3.1 document: servers and paths; everything else is ignored.

use super::template::Template;
use crate::json::{Json as Value, Object};
use crate::text::cut;
use core::fmt;

/// Fields of a path item that are operations, with the method they stand for (OpenAPI 3.1, "Path Item Object").
const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("trace", "TRACE"),
];

/// Longest URL of a server in which variables are replaced, so that a small document of many variables with long defaults
/// does not fill the memory. No template is nearly as long.
const MAX_URL: usize = 16 * 1024;

/// One operation under one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// HTTP method, upper case.
    pub method: &'static str,
    /// The server's base path and the path.
    pub template: Template,
    /// `operationId`, or else `METHOD /base/path-template`.
    pub name: String,
    /// Where it stands in the document, such as `paths["/users/{id}"].get`.
    pub place: String,
}

/// A part of the document that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocument {
    /// Where, such as `paths["/users/{id}"]`; empty for the whole document.
    pub place: String,
    /// What is wrong, lower case, without a trailing stop.
    pub message: String,
}

/// All operations of a document, in its order, or everything that is wrong with it.
///
/// Servers are those of the operation, else of the path item, else of the document, else `/`; their variables take their
/// defaults, and only their paths count. Servers with the same base path count once.
///
/// ```
/// use opmeter_core::operation::openapi;
/// let document = serde_json::from_str(r#"{
///     "openapi": "3.1.0",
///     "servers": [{"url": "https://example.com/v1"}],
///     "paths": {"/users/{id}": {"get": {"operationId": "getUser"}, "delete": {}}}
/// }"#).unwrap();
/// let operations = openapi(&document).unwrap();
/// assert_eq!(operations[0].name, "getUser");
/// assert_eq!(operations[1].name, "DELETE /v1/users/{id}");
/// assert_eq!(operations[1].template.text(), "/v1/users/{id}");
/// ```
///
/// # Errors
/// All problems found, in the order of the document.
pub fn openapi(document: &Value) -> Result<Vec<Operation>, Vec<InvalidDocument>> {
    version(document).map_err(|problem| vec![problem])?;
    let mut reader = Reader { document, operations: Vec::new(), problems: Vec::new() };
    match document.get("paths") {
        Some(Value::Object(paths)) => paths.iter().for_each(|(path, item)| reader.path(path, item)),
        // A 3.1 document may consist of webhooks or components alone.
        None => {}
        Some(_) => reader.problem("paths", "expected an object"),
    }
    if reader.problems.is_empty() { Ok(reader.operations) } else { Err(reader.problems) }
}

struct Reader<'d> {
    document: &'d Value,
    operations: Vec<Operation>,
    problems: Vec<InvalidDocument>,
}

fn version(document: &Value) -> Result<(), InvalidDocument> {
    let problem = |message: String| Err(InvalidDocument { place: String::new(), message });
    if let Some(version) = document.get("swagger").and_then(Value::as_str) {
        return problem(format!("swagger {version} document, OpenAPI 3.0 or 3.1 is needed"));
    }
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => Ok(()),
        Some(version) => problem(format!("OpenAPI version {version}, 3.0 or 3.1 is needed")),
        None => problem(
            "not an OpenAPI document: the field \"openapi\" with its version is missing".into(),
        ),
    }
}

// === impl Reader ===

impl<'d> Reader<'d> {
    fn problem(&mut self, place: &str, message: impl Into<String>) {
        self.problems.push(InvalidDocument { place: place.into(), message: message.into() });
    }

    fn path(&mut self, path: &str, item: &'d Value) {
        // Extensions stand among the paths.
        if path.starts_with("x-") {
            return;
        }
        let place = format!("paths[\"{path}\"]");
        let item = match item.get("$ref").and_then(Value::as_str) {
            Some(reference) => match reference
                .strip_prefix('#')
                .and_then(|at| self.document.pointer(at))
            {
                Some(item) => item,
                None => {
                    return self
                        .problem(&place, format!("$ref \"{reference}\" is not in this document"));
                }
            },
            None => item,
        };
        let Value::Object(item) = item else { return self.problem(&place, "expected an object") };
        for (field, method) in METHODS {
            if let Some(operation) = item.get(field) {
                self.operation(path, item, method, operation, format!("{place}.{field}"));
            }
        }
    }

    fn operation(
        &mut self,
        path: &str,
        item: &'d Object,
        method: &'static str,
        operation: &'d Value,
        place: String,
    ) {
        let servers = operation.get("servers").or_else(|| item.get("servers"));
        for base in bases(servers.or_else(|| self.document.get("servers"))) {
            let text = format!("{base}{path}");
            let template = match Template::parse(&text) {
                Ok(template) => template,
                Err(error) => {
                    return self.problem(&place, format!("invalid path \"{text}\": {error}"));
                }
            };
            let id = operation.get("operationId").and_then(Value::as_str);
            let name = id.map_or_else(|| format!("{method} {text}"), Into::into);
            self.operations.push(Operation { method, template, name, place: place.clone() });
        }
    }
}

/// The distinct base paths of a list of servers, without trailing slash.
fn bases(servers: Option<&Value>) -> Vec<String> {
    let mut bases = Vec::new();
    for server in servers.and_then(Value::as_array).into_iter().flatten() {
        let base = base(server);
        if !bases.contains(&base) {
            bases.push(base);
        }
    }
    if bases.is_empty() {
        bases.push(String::new());
    }
    bases
}

fn base(server: &Value) -> String {
    let url = url(server);
    let authority = cut(&url, "://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match authority {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => &url,
    };
    let path = path
        .split('?')
        .next()
        .and_then(|path| path.split('#').next())
        .unwrap_or("")
        .trim_matches('/');
    if path.is_empty() || path == "." { String::new() } else { format!("/{path}") }
}

/// The URL of a server with its variables replaced by their defaults. A default is no template and not looked into (OpenAPI
/// 3.1, "Server Variable Object"); beyond [`MAX_URL`] nothing is replaced any more.
fn url(server: &Value) -> String {
    let mut rest = server.get("url").and_then(Value::as_str).unwrap_or("/");
    let variables = server.get("variables");
    let mut url = String::new();
    while let Some((before, tail)) = rest.split_once('{').filter(|_| url.len() <= MAX_URL) {
        let named =
            tail.split_once('}').and_then(|(name, tail)| Some((variables?.get(name)?, tail)));
        url.push_str(before);
        rest = match named {
            Some((variable, tail)) => {
                url.push_str(variable.get("default").and_then(Value::as_str).unwrap_or(""));
                tail
            }
            None => {
                url.push('{');
                tail
            }
        };
    }
    url.push_str(rest);
    url
}

// === impl InvalidDocument ===

impl fmt::Display for InvalidDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.place, self.message),
        }
    }
}
