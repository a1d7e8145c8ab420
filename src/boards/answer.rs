//! What a Prometheus answered.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels; `__name__` among them where it has a name.
    pub labels: BTreeMap<String, String>,
    /// Time in seconds since 1970 and value, in order; exactly one for a question about now.
    pub points: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Item>),
    Matrix(Vec<Item>),
    Scalar(Point),
}

#[derive(Deserialize)]
struct Item {
    metric: BTreeMap<String, String>,
    value: Option<Point>,
    #[serde(default)]
    values: Vec<Point>,
}

/// Values are text: JSON has no `NaN`.
#[derive(Deserialize)]
struct Point(f64, String);

/// Reads an answer of `/api/v1/query` or `/api/v1/query_range`.
///
/// # Errors
/// When Prometheus refused the question, or this is no answer of it.
pub fn read(text: &str) -> Result<Vec<Series>> {
    let answer: Answer = serde_json::from_str(text).context("not an answer of Prometheus")?;
    let Some(data) = answer.data.filter(|_| answer.status == "success") else {
        bail!("Prometheus says: {}", answer.error);
    };
    match data {
        Data::Vector(items) | Data::Matrix(items) => items.into_iter().map(Series::new).collect(),
        Data::Scalar(point) => {
            Ok(vec![Series { labels: BTreeMap::new(), points: vec![point.read()?] }])
        }
    }
}

// === impl Series ===

impl Series {
    fn new(item: Item) -> Result<Self> {
        let points =
            item.value.iter().chain(&item.values).map(Point::read).collect::<Result<_>>()?;
        Ok(Self { labels: item.metric, points })
    }

    /// The last value.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// A label's value, empty when it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// A legend's text: `{{label}}` stands for the label's value, and for nothing where there is none.
    pub fn legend(&self, legend: &str) -> String {
        let mut parts = legend.split("{{");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
            text += self.label(name);
            text += rest;
        }
        text
    }
}

// === impl Point ===

impl Point {
    fn read(&self) -> Result<(f64, f64)> {
        let Self(time, value) = self;
        let value = value.parse().with_context(|| format!("{value:?} is no number"))?;
        Ok((*time, value))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn vectors_matrices_and_scalars_are_series() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"NaN"]}]}}"#;
        let series = read(vector).unwrap();
        assert!(series[0].last().unwrap().is_nan());
        assert_eq!(series[0].legend("{{a}} of {{c}}"), "b of ");
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"+Inf"]]}]}}"#;
        assert_eq!(read(matrix).unwrap()[0].points, [(1.0, 2.0), (2.0, f64::INFINITY)]);
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;
        assert_eq!(read(scalar).unwrap()[0].last(), Some(7.0));
    }

    #[test]
    fn a_refusal_is_told() {
        let refusal = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(read(refusal).unwrap_err().to_string(), "Prometheus says: parse error");
        assert!(read("404 page not found").is_err());
    }
}
