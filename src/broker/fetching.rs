//! What Claude Code's service can itself be told to fetch. In a network of named hosts that would be a way past the list, so a
//! request that names an address for the service to go to, or a part of the service that takes one, is refused there. Pure.

use std::cell::Cell;
use std::fmt;

use hyper::header::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::rules::Refusal;

/// The header that asks for parts of the service.
const BETA: &str = "anthropic-beta";

/// How such parts begin: servers of other people's that the service talks to, files that it keeps, pages that it fetches, programs
/// that it runs. Claude Code 2.1.330 asks for none of them in a message.
const BETAS: [&str; 4] = ["mcp-client-", "files-api-", "web-fetch-", "code-execution-"];

/// How the tools begin that the service has of its own and that do the same; the newer ones need no header. The one for searches is
/// missing on purpose: it goes to a search engine, and Claude Code has it.
const TOOLS: [&str; 2] = ["web_fetch_", "code_execution_"];

const BY_BETA: Refusal = "in this network named hosts alone are reached, and a feature in `anthropic-beta` would have the service reach others";
const BY_SERVERS: Refusal =
    "in this network named hosts alone are reached, and `mcp_servers` would have the service reach others";
const BY_SOURCE: Refusal = "in this network named hosts alone are reached, and a `source` of the type `url` would have the service reach others";
const BY_TOOL: Refusal =
    "in this network named hosts alone are reached, and a tool of the service's own would have it reach others";
const UNREADABLE: Refusal = "in this network a request's body is checked, and this one cannot be read as JSON";

/// Judges the head of a request.
///
/// INVARIANT(network): with [`body`], what keeps the service from being the way to a host that is not named.
pub fn head(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut asked = headers
        .get_all(BETA)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|word| word.trim_ascii().to_ascii_lowercase());
    if asked.any(|word| BETAS.iter().any(|begin| word.starts_with(begin.as_bytes()))) {
        return Err(BY_BETA);
    }
    Ok(())
}

/// Judges the body of a request. What cannot be read is refused: the service might read it.
pub fn body(bytes: &[u8]) -> Result<(), Refusal> {
    let found = Cell::new(None);
    let look = Look {
        place: Place::Top,
        found: &found,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = look.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|_| found.get().unwrap_or(UNREADABLE))
}

/// The keys that matter. Whoever writes one with escapes, or twice, has written it.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    McpServers,
    Tools,
    Source,
    Type,
    Input,
    InputSchema,
    #[serde(other)]
    Other,
}

/// Where in a request a value lies.
#[derive(Clone, Copy)]
enum Place {
    Top,
    Tools,
    ToolType,
    Source,
    SourceType,
    Other,
}

/// Looks at one value and all that is in it, and keeps nothing of it.
#[derive(Clone, Copy)]
struct Look<'found> {
    place: Place,
    found: &'found Cell<Option<Refusal>>,
}

impl Look<'_> {
    fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    fn refuse<E: Error>(self, why: Refusal) -> Result<(), E> {
        self.found.set(Some(why));
        Err(E::custom(why))
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.place {
            Place::SourceType if text == "url" => self.refuse(BY_SOURCE),
            Place::ToolType if TOOLS.iter().any(|begin| text.starts_with(begin)) => self.refuse(BY_TOOL),
            _ => Ok(()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            let place = match (self.place, key) {
                (Place::Top, Key::McpServers) => return self.refuse(BY_SERVERS),
                // What a tool is called with, and what it may be called with, is data: only the tool reads it.
                (_, Key::Input | Key::InputSchema) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                (Place::Top, Key::Tools) => Place::Tools,
                (Place::Tools, Key::Type) => Place::ToolType,
                (Place::Source, Key::Type) => Place::SourceType,
                (_, Key::Source) => Place::Source,
                _ => Place::Other,
            };
            map.next_value_seed(self.at(place))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
