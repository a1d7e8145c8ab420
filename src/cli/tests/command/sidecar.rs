//! A sidecar with the module, as `render` writes its bootstrap.

use super::envoy::{Running, free_ports, get, parts};
use super::opmeter;

/// Two operations as a dimension.
pub const PROJECT: &str = r#"
module: {file: MODULE}
where: {side: inbound, selector: {app: ratings}, deployment: ratings-v1}
attributes:
- output_attribute: op
  operations:
  - {method: GET, path: "/items/{id}", value: get_item}
  - {path: "/orders", value: orders}
dimensions: {request_operation: op}
"#;

/// It ends with this value.
pub struct Sidecar {
    pub running: Running,
    /// Where requests go.
    pub traffic: String,
    /// Where metrics are.
    pub scrape: String,
}

impl Sidecar {
    /// Starts it with the bootstrap of [`PROJECT`], which `change` may alter; `None` without an Envoy.
    pub fn start(change: impl Fn(String) -> String) -> Option<Self> {
        Self::of(PROJECT, change)
    }

    /// The same with another project, in which `MODULE` stands for the module's file.
    pub fn of(project: &str, change: impl Fn(String) -> String) -> Option<Self> {
        let (binary, module) = parts()?;
        let folder = tempfile::tempdir().expect("a folder");
        let project = project.replace("MODULE", &module.to_string_lossy());
        std::fs::write(folder.path().join("opmeter.yaml"), project).expect("a project");
        let output = opmeter(folder.path(), &["render", "--as", "bootstrap"]);
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        let [traffic, admin, scrape] = free_ports();
        let text = output
            .stdout
            .replace("port_value: 15006", &format!("port_value: {traffic}"))
            .replace("port_value: 15000", &format!("port_value: {admin}"))
            .replace("port_value: 15090", &format!("port_value: {scrape}"))
            .replacen("admin:", "stats_flush_interval: 1s\nadmin:", 1);
        let running = Running::start(&binary, &change(text), admin);
        let local = |port: u16| format!("127.0.0.1:{port}");
        Some(Self { running, traffic: local(traffic), scrape: local(scrape) })
    }

    /// Sends so many requests.
    pub fn call(&self, path: &str, times: usize) {
        for _ in 0..times {
            get(&self.traffic, path).expect("an answer");
        }
    }
}
