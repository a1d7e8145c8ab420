//! `opmeter openapi` as a person starts it.

mod command;

use std::path::{Path, PathBuf};

use command::{golden, opmeter};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

#[test]
fn a_description_becomes_operations_and_their_cost() {
    let output = opmeter(&folder(), &["openapi", "users.yaml"]);
    golden(&folder().join("users.txt"), &output.stdout);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn conflicts_name_both_sides() {
    let output = opmeter(&folder(), &["openapi", "users.yaml", "more.json"]);
    golden(&folder().join("conflict.txt"), &output.stdout);
    assert_eq!(output.code, 1);
}

#[test]
fn what_cannot_be_used_has_a_place() {
    let output = opmeter(&folder(), &["openapi", "wrong.yaml", "--print", "json"]);
    golden(&folder().join("wrong.txt"), &output.stderr);
    assert_eq!(output.code, 1);
}

#[test]
fn the_configuration_is_one_that_lint_finds_clean() {
    for (print, name) in [("json", "opmeter.json"), ("yaml", "opmeter.yaml")] {
        let output = opmeter(&folder(), &["openapi", "users.yaml", "--print", print]);
        let here = tempfile::tempdir().expect("a folder");
        std::fs::write(here.path().join(name), &output.stdout).expect("a file");
        let lint = opmeter(here.path(), &["lint", name]);
        assert_eq!((lint.code, lint.stdout.as_str()), (0, "1 document checked, nothing found\n"));
        assert!(output.stdout.contains("/v1/users/{id}"), "{}", output.stdout);
    }
}

#[test]
fn a_descriptor_set_becomes_grpc_operations() {
    let method = |name: &str| MethodDescriptorProto {
        name: Some(name.to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Ratings".to_owned()),
        method: vec![method("Get"), method("List")],
        options: None,
    };
    let file = FileDescriptorProto {
        name: Some("shop/ratings.proto".to_owned()),
        package: Some("shop.v1".to_owned()),
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    let here = tempfile::tempdir().expect("a folder");
    let bytes = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    std::fs::write(here.path().join("shop.binpb"), bytes).expect("a file");
    let output = opmeter(here.path(), &["openapi", "shop.binpb", "--print", "json"]);
    let config: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        config["attributes"][0]["operations"],
        serde_json::json!([
            {"method": "POST", "path": "/shop.v1.Ratings/Get", "value": "shop.v1.Ratings/Get"},
            {"method": "POST", "path": "/shop.v1.Ratings/List", "value": "shop.v1.Ratings/List"},
        ])
    );
}
