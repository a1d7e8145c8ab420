//! The objects of a pod in the API server, those included that controllers and a kubelet would write.

use crate::kubernetes::Kubectl;
use crate::network::NODE;
use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// Port of the application's HTTP.
pub const HTTP_PORT: u16 = 9080;

/// A workload of one pod with a Service of its name.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Name of Service, ServiceAccount and label `app`.
    pub app: String,
    /// Label `version`.
    pub version: String,
    /// Namespace, which has to be there.
    pub namespace: String,
    /// Labels of the pod beside those.
    pub labels: Vec<(&'static str, String)>,
    /// Annotations of the pod.
    pub annotations: Vec<(String, String)>,
    /// A gateway by injection, which has no application.
    pub is_gateway: bool,
}

/// Its objects.
#[derive(Debug)]
pub struct Objects {
    /// Name of the pod.
    pub name: String,
    namespace: String,
    account: String,
    address: String,
    service_address: String,
    documents: Value,
}

// === impl Workload ===

impl Workload {
    /// An application in the namespace `default`.
    pub fn new(app: &str, version: &str) -> Self {
        let [app, version, namespace] = [app, version, "default"].map(str::to_owned);
        Self { app, version, namespace, ..Self::default() }
    }
}

// === impl Objects ===

impl Objects {
    /// Those of a pod with this number, which makes names and addresses its own.
    pub fn make(workload: &Workload, number: u8, address: &str) -> Self {
        let Workload { app, version, namespace, is_gateway, .. } = workload;
        let deployment = format!("{app}-{version}");
        let replica_set = format!("{deployment}-{number:08x}");
        let name = format!("{replica_set}-pod");
        let service_address = format!("10.96.1.{number}");
        let mut labels = pairs(&workload.labels);
        labels.insert("app".to_owned(), json!(app));
        labels.insert("version".to_owned(), json!(version));
        labels.insert("pod-template-hash".to_owned(), json!(format!("{number:08x}")));
        let mut annotations = pairs(&workload.annotations);
        let container = match is_gateway {
            true => json!({"name": "istio-proxy", "image": "auto"}),
            false => json!({"name": app, "image": app, "ports": [{"containerPort": HTTP_PORT}]}),
        };
        if *is_gateway {
            annotations.insert("inject.istio.io/templates".to_owned(), json!("gateway"));
            labels.insert("sidecar.istio.io/inject".to_owned(), json!("true"));
        }
        let port = json!({"name": "http", "port": HTTP_PORT});
        let documents = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": app, "namespace": namespace}},
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    // From here and from the owner istiod takes the name of the workload.
                    "generateName": format!("{replica_set}-"),
                    "namespace": namespace,
                    "labels": labels,
                    "annotations": annotations,
                    "ownerReferences": [{
                        "apiVersion": "apps/v1",
                        "kind": "ReplicaSet",
                        "name": replica_set,
                        "uid": format!("00000000-0000-0000-0000-0000{number:08x}"),
                        "controller": true,
                    }],
                },
                "spec": {"serviceAccountName": app, "containers": [container]},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
                "spec": {"clusterIP": service_address, "selector": {"app": app}, "ports": [port]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": deployment,
                    "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": app},
                },
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": HTTP_PORT, "protocol": "TCP"}],
                "endpoints": [{
                    "addresses": [address],
                    "conditions": {"ready": true},
                    "targetRef": {"kind": "Pod", "name": name, "namespace": namespace},
                }],
            },
        ]});
        let [namespace, account, address] = [namespace, app, address].map(str::to_owned);
        Self { name, namespace, account, address, service_address, documents }
    }

    /// Writes them, and the pod's status as of one that runs.
    ///
    /// # Errors
    /// What the API server or istiod's webhook says.
    pub fn create(&self, kubectl: &Kubectl) -> Result<()> {
        kubectl.apply(&self.documents.to_string())?;
        let status = json!({"status": {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": NODE,
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let (namespace, status) = (&self.namespace, status.to_string());
        let arguments =
            ["patch", "pod", &self.name, "--namespace", namespace, "--subresource", "status"];
        kubectl.run(&[&arguments[..], &["--type", "merge", "--patch", &status]].concat()).map(drop)
    }

    /// The pod as the webhook made it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, kubectl: &Kubectl) -> Result<Value> {
        kubectl.get("pod", &self.name, &self.namespace)
    }

    /// A token for istiod's certificate authority.
    ///
    /// # Errors
    /// What the API server says.
    pub fn token(&self, kubectl: &Kubectl, pod: &Value) -> Result<String> {
        let uid = pod["metadata"]["uid"].as_str().context("a pod without a uid")?;
        let of = ["create", "token", &self.account, "--namespace", &self.namespace];
        let bound = ["--bound-object-kind", "Pod", "--bound-object-name", &self.name];
        let rest = ["--bound-object-uid", uid, "--audience", "istio-ca"];
        Ok(kubectl.run(&[&of[..], &bound, &rest].concat())?.trim().to_owned())
    }

    /// Address of the Service.
    ///
    /// # Errors
    /// None for the addresses made here.
    pub fn service_address(&self) -> Result<SocketAddr> {
        Ok(format!("{}:{HTTP_PORT}", self.service_address).parse()?)
    }

    /// Deletes them.
    ///
    /// # Errors
    /// What the API server says.
    pub fn delete(&self, kubectl: &Kubectl) -> Result<()> {
        kubectl.delete(&self.documents.to_string())
    }
}

fn pairs<S: AsRef<str>>(pairs: &[(S, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| (name.as_ref().to_owned(), json!(value))).collect()
}
