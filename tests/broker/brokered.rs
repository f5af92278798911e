//! The way of a request: from inside with a placeholder, to the vendor with the real credential.

use claudebox::net::broker::{API, KEY};

use super::world::{REAL_KEY, world};

#[test]
fn a_request_arrives_with_the_real_key_in_the_place_of_the_placeholder() {
    world(|world| {
        let broker = world.broker(&world.configuration());
        let mut client = world.client(&broker, API);
        let body = r#"{"model":"x"}"#;
        let response = client
            .ask(format!(
                "POST /v1/messages?beta=true HTTP/1.1\r\nHost: {API}\r\nX-Api-Key: {KEY}\r\nAnthropic-Version: 2023-06-01\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .expect("an answer");
        assert_eq!((response.status, response.body.as_str()), (200, "ok"));
        assert_eq!(
            world.api.received(),
            [format!(
                "POST /v1/messages?beta=true HTTP/1.1\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n\
                 content-length: 13\r\nhost: {API}\r\nx-api-key: {REAL_KEY}\r\n\r\n{body}"
            )]
        );
        assert_eq!(world.told(), Vec::<String>::new());
    });
}
