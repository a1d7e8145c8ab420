//! `opmeter package`: images as Istio pulls modules, read back by others' code, and pulled from a real registry.

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{envoy, opmeter};
use flate2::read::GzDecoder;
use oci_spec::image::{
    Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, OciLayout,
};
use sha2::{Digest, Sha256};

const KINDS: [&str; 3] = ["oci", "docker", "artifact"];

/// A module that is as good as any here: its image never runs.
const MODULE: &[u8] = b"\0asm\x01\0\0\0 proxy_abi_version_0_2_1";

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("opmeter.wasm"), MODULE).expect("a module");
    folder
}

/// Packages `module` as each kind, under the kind's name, into `output`.
fn package(folder: &Path, module: &Path, output: &str) {
    for kind in KINDS {
        let args =
            ["package", &module.to_string_lossy(), "-o", output, "--as", kind, "--tag", kind];
        let output = opmeter(folder, &args);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{kind}");
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").to_owned();
                all.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    all
}

/// Where Istio finds the module: as in `pkg/wasm/imagefetcher.go`.
fn as_istio_does(media_type: Option<&str>, layers: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (last, bytes) = layers.last().expect("a layer");
    if media_type == Some(DOCKER_MANIFEST) {
        assert_eq!(last, DOCKER_LAYER);
        return plugin(bytes);
    }
    if last == OCI_LAYER {
        return plugin(bytes);
    }
    assert_eq!(layers.len(), 2);
    let layer = layers.iter().find(|(media_type, _)| media_type == WASM_LAYER);
    layer.expect("a layer of that type").1.clone()
}

fn plugin(archive: &[u8]) -> Vec<u8> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        if entry.path().expect("a name").file_name().is_some_and(|name| name == "plugin.wasm") {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).expect("its bytes");
            return module;
        }
    }
    panic!("no plugin.wasm");
}

/// A blob, after its size and checksum.
fn blob(layout: &Path, descriptor: &Descriptor) -> Vec<u8> {
    let name = descriptor.as_digest_sha256().expect("SHA-256");
    let bytes = fs::read(layout.join("blobs/sha256").join(name)).expect("a blob");
    assert_eq!(bytes.len() as u64, descriptor.size());
    assert_eq!(format!("{:x}", Sha256::digest(&bytes)), name);
    bytes
}

fn name(descriptor: &Descriptor) -> &str {
    let annotations = descriptor.annotations().as_ref().expect("annotations");
    &annotations["org.opencontainers.image.ref.name"]
}

#[test]
fn an_independent_library_reads_what_was_packaged() {
    let folder = folder();
    package(folder.path(), Path::new("opmeter.wasm"), "image");
    let layout = folder.path().join("image");
    let mark = OciLayout::from_file(layout.join("oci-layout")).expect("a layout");
    assert_eq!(mark.image_layout_version(), "1.0.0");
    let index = ImageIndex::from_file(layout.join("index.json")).expect("an index");
    assert_eq!(index.media_type(), &Some(MediaType::ImageIndex));
    let names: Vec<&str> = index.manifests().iter().map(name).collect();
    assert_eq!(names, ["artifact", "docker", "oci"]);
    for descriptor in index.manifests() {
        let manifest = blob(&layout, descriptor);
        let manifest = ImageManifest::from_reader(manifest.as_slice()).expect("a manifest");
        assert_eq!(manifest.media_type().as_ref(), Some(descriptor.media_type()));
        let layers: Vec<(String, Vec<u8>)> = manifest
            .layers()
            .iter()
            .map(|layer| (layer.media_type().to_string(), blob(&layout, layer)))
            .collect();
        let media_type = descriptor.media_type().to_string();
        assert_eq!(as_istio_does(Some(&media_type), &layers), MODULE, "{}", name(descriptor));
        let config = blob(&layout, manifest.config());
        if name(descriptor) == "artifact" {
            let runtime: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
            assert_eq!(runtime["abiVersions"], serde_json::json!(["0.2.1"]));
            continue;
        }
        let config = ImageConfiguration::from_reader(config.as_slice()).expect("a configuration");
        let mut archive = Vec::new();
        GzDecoder::new(layers[0].1.as_slice()).read_to_end(&mut archive).expect("gzip");
        let checksum = format!("sha256:{:x}", Sha256::digest(&archive));
        assert_eq!(config.rootfs().diff_ids(), &[checksum], "{}", name(descriptor));
    }
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    let folder = folder();
    package(folder.path(), Path::new("opmeter.wasm"), "one");
    let other = folder.path().join("elsewhere");
    fs::create_dir(&other).expect("a folder");
    fs::copy(folder.path().join("opmeter.wasm"), other.join("renamed.wasm")).expect("a copy");
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let file = fs::File::options().write(true).open(other.join("renamed.wasm")).expect("it");
    file.set_modified(old).expect("an old file");
    package(&other, Path::new("renamed.wasm"), "two");
    let (one, two) = (files(&folder.path().join("one")), files(&other.join("two")));
    // Mark, index, three manifests, two configurations, and the module as a layer in two ways.
    assert_eq!(one.len(), 9);
    assert_eq!(one, two);
    // Once more into the same folder changes nothing.
    package(&other, Path::new("renamed.wasm"), "two");
    assert_eq!(files(&other.join("two")), two);
}

#[test]
fn it_tells_what_it_wrote_and_why_it_cannot() {
    let folder = folder();
    let told = opmeter(folder.path(), &["package", "opmeter.wasm", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    let digest = told["manifest"]["digest"].as_str().expect("a digest");
    let blob = digest.replace("sha256:", "dist/image/blobs/sha256/");
    let manifest = fs::read(folder.path().join(blob)).expect("the manifest");
    assert_eq!(format!("sha256:{:x}", Sha256::digest(manifest)), digest);
    assert_eq!(told["tag"], env!("CARGO_PKG_VERSION"));
    let text = opmeter(folder.path(), &["package", "opmeter.wasm"]).stdout;
    let expected = format!("dist/image:{}\n  manifest {digest} ", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&expected), "{text}");

    fs::write(folder.path().join("text"), "no module").expect("a file");
    fs::write(folder.path().join("other.wasm"), &MODULE[..8]).expect("a file");
    for (args, expected) in [
        (
            &["none.wasm"][..],
            "cannot read none.wasm; `make build` makes dist/opmeter.wasm: No such file",
        ),
        (&["text"], "text is not a WebAssembly module"),
        (
            &["other.wasm"],
            "other.wasm does not tell its version of proxy-wasm, so no proxy would load it",
        ),
        (
            &["opmeter.wasm", "-o", "."],
            "cannot write .: there is something in it that is not an OCI image layout",
        ),
        (
            &["opmeter.wasm", "--tag", ".x"],
            "expected at most 128 letters, digits, `_`, `.` and `-`",
        ),
    ] {
        let output = opmeter(folder.path(), &[&["package"], args].concat());
        assert_eq!(output.code, 2, "{args:?}");
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

/// A registry in a process of its own; dropping it ends it.
struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

// === impl Registry ===

impl Registry {
    /// Starts the registry that `make test` hands over; without it there is nothing to run, unless that is demanded.
    fn start() -> Option<Self> {
        let Some(binary) = std::env::var_os("OPMETER_REGISTRY") else {
            let demanded = std::env::var_os("OPMETER_REQUIRE_ENVOY").is_some();
            assert!(!demanded, "OPMETER_REGISTRY is not set");
            eprintln!("SKIPPED: OPMETER_REGISTRY is not set");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let [port] = envoy::free_ports();
        let address = format!("127.0.0.1:{port}");
        let config = serde_json::json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("data")}},
            "http": {"addr": address},
        });
        let file = folder.path().join("config.yaml");
        fs::write(&file, config.to_string()).expect("a configuration");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let process = Command::new(binary)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the registry starts");
        let registry = Self { process, address, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while envoy::get(&registry.address, "/v2/").is_none_or(|answer| !answer.contains("200 OK"))
        {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts skopeo, which `make test` hands over beside the registry.
fn skopeo(args: &[&str]) {
    let binary =
        std::env::var_os("OPMETER_SKOPEO").expect("OPMETER_SKOPEO goes with OPMETER_REGISTRY");
    let output = Command::new(binary).args(args).output().expect("skopeo runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sends what skopeo does not take from a layout, Docker's manifests, as the OCI Distribution Specification says.
fn push(address: &str, layout: &Path, descriptor: &Descriptor) {
    let bytes = blob(layout, descriptor);
    let manifest = ImageManifest::from_reader(bytes.as_slice()).expect("a manifest");
    for part in manifest.layers().iter().chain([manifest.config()]) {
        let answer = request(address, "POST", "/v2/opmeter/blobs/uploads/", "text/plain", &[]);
        let place = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        let place = place.unwrap_or_else(|| panic!("{answer}"));
        let path = &place[place.find("/v2/").expect("a path")..];
        let path = format!("{path}&digest={}", part.digest());
        let bytes = blob(layout, part);
        let answer = request(address, "PUT", &path, "application/octet-stream", &bytes);
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    let path = format!("/v2/opmeter/manifests/{}", name(descriptor));
    let answer = request(address, "PUT", &path, descriptor.media_type().as_ref(), &bytes);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

fn request(address: &str, method: &str, path: &str, content: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {content}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_registry_takes_it_and_hands_out_the_module() {
    let Some(registry) = Registry::start() else { return };
    let Some((_, module)) = envoy::parts() else { return };
    let folder = folder();
    package(folder.path(), &module, "image");
    let layout = folder.path().join("image");
    let module = fs::read(&module).expect("the module");
    let index = ImageIndex::from_file(layout.join("index.json")).expect("an index");
    for descriptor in index.manifests() {
        let name = name(descriptor);
        let remote = format!("docker://{}/opmeter:{name}", registry.address);
        if name == "docker" {
            push(&registry.address, &layout, descriptor);
        } else {
            let local = format!("oci:{}:{name}", layout.display());
            let plain = ["copy", "--insecure-policy", "--dest-tls-verify=false"];
            skopeo(&[&plain[..], &[&local, &remote]].concat());
        }
        let pulled = folder.path().join(format!("pulled-{name}"));
        let local = format!("dir:{}", pulled.display());
        skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &remote, &local]);

        let manifest = fs::read(pulled.join("manifest.json")).expect("a manifest");
        assert_eq!(manifest, blob(&layout, descriptor), "{name}");
        let manifest = ImageManifest::from_reader(manifest.as_slice()).expect("a manifest");
        let layer = |layer: &Descriptor| {
            let file = pulled.join(layer.as_digest_sha256().expect("SHA-256"));
            (layer.media_type().to_string(), fs::read(file).expect("a layer"))
        };
        let layers: Vec<(String, Vec<u8>)> = manifest.layers().iter().map(layer).collect();
        let media_type = manifest.media_type().as_ref().map(MediaType::to_string);
        assert!(as_istio_does(media_type.as_deref(), &layers) == module, "{name}");
    }
}
