//! The service of the backend as a protobuf descriptor, for Envoy's filters that read one.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
};

/// A serialised `FileDescriptorSet` with [`super::Words`] and the calls of `ratings.Ratings`.
pub fn descriptor() -> Vec<u8> {
    let fields = [
        ("text", 1, Type::String),
        ("count", 2, Type::Uint32),
        ("status", 3, Type::Int32),
        ("delay", 4, Type::Uint64),
    ];
    let words = DescriptorProto {
        name: Some("Words".to_owned()),
        field: fields.into_iter().map(|(name, number, kind)| field(name, number, kind)).collect(),
        ..DescriptorProto::default()
    };
    let methods = [
        ("Get", false, false),
        ("Collect", true, false),
        ("List", false, true),
        ("Talk", true, true),
    ];
    let service = ServiceDescriptorProto {
        name: Some("Ratings".to_owned()),
        method: methods.into_iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("ratings.proto".to_owned()),
        package: Some("ratings".to_owned()),
        message_type: vec![words],
        service: vec![service],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn field(name: &str, number: i32, kind: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        json_name: Some(name.to_owned()),
        ..FieldDescriptorProto::default()
    }
}

fn method((name, client, server): (&str, bool, bool)) -> MethodDescriptorProto {
    MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".ratings.Words".to_owned()),
        output_type: Some(".ratings.Words".to_owned()),
        client_streaming: Some(client),
        server_streaming: Some(server),
        ..MethodDescriptorProto::default()
    }
}
