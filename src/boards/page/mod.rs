//! One page about one run: HTML without anything from elsewhere.

use crate::draw::escape;

/// A part of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// What there is to see.
    pub text: String,
    /// A picture, or a table.
    pub body: Body,
    /// What was asked, in PromQL: a name and an expression.
    pub queries: Vec<(String, String)>,
}

/// What a section shows.
#[derive(Clone, Debug)]
pub enum Body {
    /// An SVG.
    Picture(String),
    /// A table: head and rows. Columns after the first hold numbers.
    Table(Vec<String>, Vec<Vec<String>>),
}

/// The page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// What was run, in a sentence.
    pub summary: String,
    /// Facts: a name and a value.
    pub facts: Vec<(String, String)>,
    /// From top to bottom.
    pub sections: Vec<Section>,
}

const STYLE: &str = include_str!("style.css");

// === impl Page ===

impl Page {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let facts: String = self
            .facts
            .iter()
            .map(|(name, value)| {
                format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value))
            })
            .collect();
        let sections: String = self.sections.iter().map(Section::to_html).collect();
        let (title, summary) = (escape(&self.title), escape(&self.summary));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p>{summary}</p>\n<dl>{facts}</dl>\n</header>\n\
             <main>\n{sections}</main>\n</body>\n</html>\n"
        )
    }
}

// === impl Section ===

impl Section {
    fn to_html(&self) -> String {
        let queries: String = self
            .queries
            .iter()
            .map(|(name, expr)| {
                format!("<dt>{}</dt><dd><pre>{}</pre></dd>", escape(name), escape(expr))
            })
            .collect();
        let (title, text) = (escape(&self.title), escape(&self.text));
        format!(
            "<section>\n<h2>{title}</h2>\n<p>{text}</p>\n{}\n<details><summary>PromQL</summary><dl>{queries}</dl></details>\n</section>\n",
            self.body.to_html()
        )
    }
}

// === impl Body ===

impl Body {
    fn to_html(&self) -> String {
        match self {
            Self::Picture(svg) => format!("<figure>{svg}</figure>"),
            Self::Table(head, rows) => {
                let cells = |tag: &str, cells: &[String]| -> String {
                    cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect()
                };
                let rows: String =
                    rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
                format!(
                    "<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>",
                    cells("th", head)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Page, Section};

    #[test]
    fn text_is_escaped_and_nothing_comes_from_elsewhere() {
        let page = Page {
            title: "a < b".to_owned(),
            summary: String::new(),
            facts: vec![("x".to_owned(), "\"y\"".to_owned())],
            sections: vec![Section {
                title: "t".to_owned(),
                text: "&".to_owned(),
                body: Body::Table(vec!["h".to_owned()], vec![vec!["<b>".to_owned()]]),
                queries: vec![("q".to_owned(), "a > 1".to_owned())],
            }],
        };
        let html = page.to_html();
        for text in [
            "<h1>a &lt; b</h1>",
            "<dd>&quot;y&quot;</dd>",
            "<td>&lt;b&gt;</td>",
            "<pre>a &gt; 1</pre>",
        ] {
            assert!(html.contains(text), "{text} in {html}");
        }
        for link in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(link), "{link} in {html}");
        }
    }
}
