//! Places of a picture.

use super::svg::{CARD, FAINT, INK, Style, Svg, fitting};

/// A rectangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

const PADDING: f64 = 14.0;
const TITLE: f64 = 13.0;

// === impl Frame ===

impl Frame {
    /// Draws a card with a title; what is left inside.
    pub fn card(self, svg: &mut Svg, title: &str) -> Self {
        let edge = [self.x + 0.5, self.y + 0.5, self.width - 1.0, self.height - 1.0];
        svg.outline(edge, CARD, FAINT, 8.0);
        let style = Style::new(TITLE, INK).bold();
        let room = self.width - 2.0 * PADDING;
        svg.text((self.x + PADDING, self.y + PADDING + 9.0), &fitting(title, TITLE, room), style);
        Self {
            x: self.x + PADDING,
            y: self.y + PADDING + 20.0,
            width: room,
            height: self.height - 2.0 * PADDING - 20.0,
        }
    }

    /// Without so much at each side.
    pub fn without(self, left: f64, bottom: f64) -> Self {
        Self { x: self.x + left, width: self.width - left, height: self.height - bottom, ..self }
    }

    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}
