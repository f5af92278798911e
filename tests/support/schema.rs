//! A validator for the part of JSON Schema (2020-12) that the book's page on JSON uses. A word of the schema that it does not know
//! fails: nothing is passed over in silence.

use serde_json::Value;

/// The book's page on JSON.
const BOOK: &str = include_str!("../../book/src/reference/json.md");

/// A document that the program printed, which is as the book says.
#[track_caller]
pub fn document(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let schema = of_book();
    let errors = errors(&schema, &schema, &document);
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
    document
}

/// The book's schema: the block that calls itself one.
pub fn of_book() -> Value {
    let blocks = BOOK
        .split("```json\n")
        .skip(1)
        .filter_map(|block| block.split("```").next());
    let mut schemas = blocks.filter(|block| block.contains("\"$schema\""));
    serde_json::from_str(schemas.next().expect("a schema in the book")).expect("a schema is JSON")
}

/// Everything in `value` that is not as `schema` says, each with its place. Stricter than the standard in one thing: an object has
/// no field that the schema does not name, so that the book names every field.
pub fn errors(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(root, schema, value, "$", &mut errors);
    errors
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    for (word, says) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "$schema" | "title" | "$defs" => {}
            "$ref" => {
                let name = says
                    .as_str()
                    .and_then(|path| path.strip_prefix("#/$defs/"))
                    .expect("a name in $defs");
                let target = &root["$defs"][name];
                assert!(target.is_object(), "the schema has no {name}");
                check(root, target, value, at, errors);
            }
            "const" => wrong_unless(value == says, at, &format!("{value} is not {says}"), errors),
            "enum" => {
                let known = says.as_array().expect("a list").contains(value);
                wrong_unless(known, at, &format!("{value} is not one of {says}"), errors);
            }
            "type" => {
                let is = |name: &Value| match name.as_str() {
                    Some("object") => value.is_object(),
                    Some("array") => value.is_array(),
                    Some("string") => value.is_string(),
                    Some("boolean") => value.is_boolean(),
                    Some("integer") => value.is_i64() || value.is_u64(),
                    Some("null") => value.is_null(),
                    other => panic!("the type {other:?}"),
                };
                let fits = says.as_array().map_or_else(|| is(says), |names| names.iter().any(is));
                wrong_unless(fits, at, &format!("{value} is no {says}"), errors);
            }
            "required" => {
                for name in says.as_array().expect("a list") {
                    let there = value.get(name.as_str().expect("a name")).is_some();
                    wrong_unless(there, at, &format!("{name} is missing"), errors);
                }
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    match says.get(name) {
                        Some(schema) => check(root, schema, field, &format!("{at}.{name}"), errors),
                        None => errors.push(format!("{at}: the schema names no field {name}")),
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, says, item, &format!("{at}[{index}]"), errors);
                }
            }
            "oneOf" => {
                let tries: Vec<Vec<String>> = says
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|schema| {
                        let mut errors = Vec::new();
                        check(root, schema, value, at, &mut errors);
                        errors
                    })
                    .collect();
                let fitting = tries.iter().filter(|errors| errors.is_empty()).count();
                if fitting != 1 {
                    errors.push(format!("{at}: {fitting} of {} forms fit: {tries:?}", tries.len()));
                }
            }
            other => panic!("the validator does not know {other}"),
        }
    }
}

fn wrong_unless(fits: bool, at: &str, why: &str, errors: &mut Vec<String>) {
    if !fits {
        errors.push(format!("{at}: {why}"));
    }
}
