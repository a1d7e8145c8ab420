//! The core's host where there is no proxy: it compiles, and has nothing to evaluate.

use opmeter_core::port::{Content, ExprId, Failed, Host, Message, Refused};

use crate::expression::Expression;

/// proxy-wasm ABI 0.2.1, `NotFound`.
const NOT_FOUND: Failed = Failed(1);

/// A proxy that is being configured and will never see a stream.
#[derive(Debug, Default)]
pub struct Offline {
    compiled: u32,
}

// === impl Offline ===

impl Host for Offline {
    fn compile(&mut self, expression: &str) -> Result<ExprId, Refused> {
        Expression::parse(expression).ok_or(Refused)?;
        self.compiled += 1;
        Ok(ExprId(self.compiled))
    }

    fn evaluate(&mut self, _: ExprId, _: &mut Vec<u8>) -> Result<(), Failed> {
        Err(NOT_FOUND)
    }

    fn attribute(&mut self, _: &str, _: &mut Vec<u8>) -> Result<(), Failed> {
        Err(NOT_FOUND)
    }

    fn node(&mut self, _: &[&str]) -> Option<Vec<u8>> {
        None
    }

    fn declare(&mut self, _: &str, _: Content) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn header(&mut self, _: Message, _: &str) -> Result<Option<Vec<u8>>, Failed> {
        Ok(None)
    }

    fn remove_header(&mut self, _: Message, _: &str) -> Result<(), Failed> {
        Ok(())
    }

    fn set_header(&mut self, _: Message, _: &str, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }
}
