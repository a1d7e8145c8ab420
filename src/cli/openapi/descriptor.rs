//! Protobuf descriptor sets: gRPC services as `protoc --descriptor_set_out` writes them.

use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use opmeter_core::operation::Template;
use prost::Message;
use prost_types::FileDescriptorSet;

use super::Operation;
use crate::text::Source;

/// Whether bytes begin as a set of file descriptors does: field 1, length-delimited, of which the first field is the name.
pub fn is_descriptor(bytes: &[u8]) -> bool {
    let is_text = bytes.iter().take(1024).all(|byte| *byte >= 0x20 || b"\t\n\r".contains(byte));
    bytes.first() == Some(&0x0a) && !(is_text && std::str::from_utf8(bytes).is_ok())
}

/// The methods of all services: gRPC's path is `/package.Service/Method`, its method always POST.
pub fn operations(name: &str, bytes: &[u8]) -> Result<Vec<Operation>> {
    let set = FileDescriptorSet::decode(bytes)
        .with_context(|| format!("{name} is not a protobuf descriptor set"))?;
    let source = Rc::new(Source { name: name.to_owned(), text: String::new() });
    let mut operations = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let full = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            for method in &service.method {
                let path = format!("/{full}/{}", method.name());
                let template = Template::parse(&path).map_err(|problem| {
                    anyhow::anyhow!("{name}: method {path} cannot be a path: {problem}")
                })?;
                operations.push(Operation {
                    method: "POST".to_owned(),
                    template,
                    name: format!("{full}/{}", method.name()),
                    origin: format!("{name}: {}", file.name()),
                    at: (Rc::clone(&source), 0..0),
                });
            }
        }
    }
    ensure!(!operations.is_empty(), "{name} describes no service");
    Ok(operations)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{
        FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
    };

    use super::{is_descriptor, operations};

    #[test]
    fn services_are_operations() {
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
        let bytes = FileDescriptorSet { file: vec![file] }.encode_to_vec();
        assert!(is_descriptor(&bytes));
        let found = operations("x.binpb", &bytes).unwrap();
        let shown: Vec<_> = found.iter().map(|o| (o.template.text(), o.name.as_str())).collect();
        let expected = [
            ("/shop.v1.Ratings/Get", "shop.v1.Ratings/Get"),
            ("/shop.v1.Ratings/List", "shop.v1.Ratings/List"),
        ];
        assert_eq!(shown, expected);
        assert!(found.iter().all(|o| o.method == "POST"));
    }

    #[test]
    fn texts_are_no_descriptors() {
        assert!(!is_descriptor(b"\nopenapi: 3.1.0\n"));
        assert!(!is_descriptor(b"{}"));
        assert_eq!(
            operations("x", &[0x0a, 0xff]).unwrap_err().to_string(),
            "x is not a protobuf descriptor set"
        );
    }
}
