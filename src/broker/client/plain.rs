//! AMQP's properties and headers as JSON, for people and scripts to read.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value};

/// Bytes that are no text are shown as text as far as they are.
pub(super) fn table(table: &FieldTable) -> Map<String, Value> {
    let fields = table.inner().iter();
    fields
        .map(|(name, value)| (name.to_string(), plain(value)))
        .collect()
}

/// Those that are set, under AMQP's names; headers are left out.
pub(super) fn properties(properties: &BasicProperties) -> Map<String, Value> {
    let text = |value: &Option<_>| value.as_ref().map(ToString::to_string).map(Value::from);
    let number = |value: Option<u64>| value.map(Value::from);
    let all = [
        ("content_type", text(properties.content_type())),
        ("content_encoding", text(properties.content_encoding())),
        (
            "delivery_mode",
            number(properties.delivery_mode().map(u64::from)),
        ),
        ("priority", number(properties.priority().map(u64::from))),
        ("correlation_id", text(properties.correlation_id())),
        ("reply_to", text(properties.reply_to())),
        ("expiration", text(properties.expiration())),
        ("message_id", text(properties.message_id())),
        ("timestamp", number(*properties.timestamp())),
        ("type", text(properties.kind())),
        ("user_id", text(properties.user_id())),
        ("app_id", text(properties.app_id())),
    ];
    let set = all
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.collect()
}

fn plain(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(is) => (*is).into(),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        AMQPValue::Float(number) => (*number).into(),
        AMQPValue::Double(number) => (*number).into(),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::DecimalValue(decimal) => format!("{}e-{}", decimal.value, decimal.scale).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        AMQPValue::ByteArray(bytes) => BASE64_STANDARD.encode(bytes.as_slice()).into(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(plain).collect(),
        AMQPValue::FieldTable(fields) => table(fields).into(),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_of_every_shape_can_be_read() {
        let mut death = FieldTable::default();
        death.insert("reason".into(), AMQPValue::LongString("rejected".into()));
        death.insert("count".into(), AMQPValue::LongLongInt(1));
        let mut headers = FieldTable::default();
        let deaths = AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into());
        headers.insert("x-death".into(), deaths);
        headers.insert("odd".into(), AMQPValue::LongString(vec![b'a', 0xff].into()));
        headers.insert("raw".into(), AMQPValue::ByteArray(vec![1, 2].into()));
        headers.insert("nothing".into(), AMQPValue::Void);
        let expected = json!({
            "x-death": [{"reason": "rejected", "count": 1}],
            "odd": "a\u{fffd}",
            "raw": "AQI=",
            "nothing": null,
        });
        assert_eq!(Value::from(table(&headers)), expected);
    }

    #[test]
    fn only_properties_that_are_set_are_shown() {
        let set = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        let expected = json!({"content_type": "application/json", "delivery_mode": 2});
        assert_eq!(Value::from(properties(&set)), expected);
    }
}
