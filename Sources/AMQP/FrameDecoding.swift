// From librabbitmq's frames to this module's.

internal import CRabbitMQ

extension IncomingFrame {
    /// Copies a frame out of librabbitmq's buffers, except for a body, which stays there.
    init(_ frame: amqp_frame_t) {
        switch Int32(frame.frame_type) {
        case AMQP_FRAME_METHOD:
            self.init(method: frame.payload.method)
        case AMQP_FRAME_HEADER:
            let header = frame.payload.properties
            let properties = header.decoded.map { MessageProperties($0.load(as: amqp_basic_properties_t.self)) }
            self = .header(bodySize: header.body_size, properties ?? MessageProperties())
        case AMQP_FRAME_BODY:
            let fragment = frame.payload.body_fragment
            self = .body(UnsafeRawBufferPointer(start: fragment.bytes, count: fragment.len))
        default:
            self = .ignored
        }
    }

    init(method: amqp_method_t) {
        guard let decoded = UnsafeRawPointer(method.decoded) else {
            self = .ignored
            return
        }
        switch method.id {
        case AMQP_BASIC_DELIVER_METHOD:
            let fields = decoded.load(as: amqp_basic_deliver_t.self)
            self = .deliver(
                Delivery.Envelope(
                    tag: fields.delivery_tag, consumerTag: String(fields.consumer_tag),
                    isRedelivered: fields.redelivered != 0, exchange: String(fields.exchange),
                    routingKey: String(fields.routing_key)))
        case AMQP_BASIC_ACK_METHOD:
            let fields = decoded.load(as: amqp_basic_ack_t.self)
            self = .acknowledged(tag: fields.delivery_tag, multiple: fields.multiple != 0)
        case AMQP_BASIC_NACK_METHOD:
            let fields = decoded.load(as: amqp_basic_nack_t.self)
            self = .refused(tag: fields.delivery_tag, multiple: fields.multiple != 0)
        case AMQP_BASIC_RETURN_METHOD:
            let fields = decoded.load(as: amqp_basic_return_t.self)
            self = .returned(
                ReturnedEnvelope(
                    code: Int(fields.reply_code), text: String(fields.reply_text), exchange: String(fields.exchange),
                    routingKey: String(fields.routing_key)))
        case AMQP_BASIC_GET_OK_METHOD:
            let fields = decoded.load(as: amqp_basic_get_ok_t.self)
            let envelope = Delivery.Envelope(
                tag: fields.delivery_tag, consumerTag: "", isRedelivered: fields.redelivered != 0,
                exchange: String(fields.exchange), routingKey: String(fields.routing_key))
            self = .fetched(envelope, remaining: Int(fields.message_count))
        case AMQP_BASIC_CANCEL_METHOD:
            self = .consumerCancelled(
                consumerTag: String(decoded.load(as: amqp_basic_cancel_t.self).consumer_tag))
        case AMQP_CHANNEL_CLOSE_METHOD:
            let fields = decoded.load(as: amqp_channel_close_t.self)
            self = .channelClosed(code: Int(fields.reply_code), text: String(fields.reply_text))
        case AMQP_CONNECTION_CLOSE_METHOD:
            let fields = decoded.load(as: amqp_connection_close_t.self)
            self = .connectionClosed(code: Int(fields.reply_code), text: String(fields.reply_text))
        case AMQP_CONNECTION_BLOCKED_METHOD:
            self = .blocked(reason: String(decoded.load(as: amqp_connection_blocked_t.self).reason))
        case AMQP_CONNECTION_UNBLOCKED_METHOD:
            self = .unblocked
        default:
            self = Reply(id: method.id, decoded: decoded).map { .reply($0) } ?? .ignored
        }
    }
}

extension Reply {
    fileprivate init?(id: amqp_method_number_t, decoded: UnsafeRawPointer) {
        switch id {
        case AMQP_CHANNEL_OPEN_OK_METHOD: self = .channelOpened
        case AMQP_CONFIRM_SELECT_OK_METHOD: self = .confirmsSelected
        case AMQP_BASIC_QOS_OK_METHOD: self = .prefetchSet
        case AMQP_BASIC_CONSUME_OK_METHOD:
            self = .consuming(consumerTag: String(decoded.load(as: amqp_basic_consume_ok_t.self).consumer_tag))
        case AMQP_BASIC_CANCEL_OK_METHOD:
            self = .cancelled(consumerTag: String(decoded.load(as: amqp_basic_cancel_ok_t.self).consumer_tag))
        case AMQP_EXCHANGE_DECLARE_OK_METHOD: self = .exchangeDeclared
        case AMQP_EXCHANGE_DELETE_OK_METHOD: self = .exchangeDeleted
        case AMQP_EXCHANGE_BIND_OK_METHOD: self = .exchangeBound
        case AMQP_EXCHANGE_UNBIND_OK_METHOD: self = .exchangeUnbound
        case AMQP_QUEUE_DECLARE_OK_METHOD:
            let fields = decoded.load(as: amqp_queue_declare_ok_t.self)
            self = .queueDeclared(
                name: String(fields.queue), messages: Int(fields.message_count), consumers: Int(fields.consumer_count))
        case AMQP_QUEUE_BIND_OK_METHOD: self = .queueBound
        case AMQP_QUEUE_UNBIND_OK_METHOD: self = .queueUnbound
        case AMQP_QUEUE_PURGE_OK_METHOD:
            self = .queuePurged(messages: Int(decoded.load(as: amqp_queue_purge_ok_t.self).message_count))
        case AMQP_QUEUE_DELETE_OK_METHOD:
            self = .queueDeleted(messages: Int(decoded.load(as: amqp_queue_delete_ok_t.self).message_count))
        case AMQP_BASIC_GET_EMPTY_METHOD: self = .fetched(nil)
        case AMQP_CONNECTION_CLOSE_OK_METHOD: self = .connectionClosed
        default: return nil
        }
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: amqp_bytes_t) {
        self.init(start: bytes.bytes, count: bytes.bytes == nil ? 0 : bytes.len)
    }
}

extension String {
    /// Invalid UTF-8 is repaired.
    init(_ bytes: amqp_bytes_t) {
        self.init(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self)
    }
}

extension MessageProperties {
    init(_ properties: amqp_basic_properties_t) {
        let flags = Int32(bitPattern: properties._flags)
        func text(_ flag: Int32, _ bytes: amqp_bytes_t) -> String? {
            flags & flag == 0 ? nil : String(bytes)
        }
        self.init(
            contentType: text(AMQP_BASIC_CONTENT_TYPE_FLAG, properties.content_type),
            contentEncoding: text(AMQP_BASIC_CONTENT_ENCODING_FLAG, properties.content_encoding),
            correlationID: text(AMQP_BASIC_CORRELATION_ID_FLAG, properties.correlation_id),
            replyTo: text(AMQP_BASIC_REPLY_TO_FLAG, properties.reply_to),
            expiration: text(AMQP_BASIC_EXPIRATION_FLAG, properties.expiration),
            messageID: text(AMQP_BASIC_MESSAGE_ID_FLAG, properties.message_id),
            type: text(AMQP_BASIC_TYPE_FLAG, properties.type),
            userID: text(AMQP_BASIC_USER_ID_FLAG, properties.user_id),
            appID: text(AMQP_BASIC_APP_ID_FLAG, properties.app_id),
            headers: flags & AMQP_BASIC_HEADERS_FLAG == 0 ? [:] : [String: FieldValue](properties.headers),
            deliveryMode: flags & AMQP_BASIC_DELIVERY_MODE_FLAG == 0
                ? nil : DeliveryMode(rawValue: properties.delivery_mode),
            priority: flags & AMQP_BASIC_PRIORITY_FLAG == 0 ? nil : properties.priority,
            timestamp: flags & AMQP_BASIC_TIMESTAMP_FLAG == 0 ? nil : properties.timestamp)
    }
}

extension [String: FieldValue] {
    init(_ table: amqp_table_t, depth: Int = 0) {
        self.init(minimumCapacity: Int(table.num_entries))
        for entry in UnsafeBufferPointer(start: table.entries, count: Int(table.num_entries)) {
            self[String(entry.key)] = FieldValue(entry.value, depth: depth)
        }
    }
}

extension FieldValue {
    /// - Parameter depth: how many arrays and tables are around the value. Publishers decide how deep they nest, so
    ///   without a bound they could have the stack overflow.
    init(_ field: amqp_field_value_t, depth: Int) {
        let value = field.value
        switch UInt32(field.kind) {
        case AMQP_FIELD_KIND_BOOLEAN.rawValue: self = .bool(value.boolean != 0)
        case AMQP_FIELD_KIND_I8.rawValue: self = .integer(Int64(value.i8))
        case AMQP_FIELD_KIND_U8.rawValue: self = .integer(Int64(value.u8))
        case AMQP_FIELD_KIND_I16.rawValue: self = .integer(Int64(value.i16))
        case AMQP_FIELD_KIND_U16.rawValue: self = .integer(Int64(value.u16))
        case AMQP_FIELD_KIND_I32.rawValue: self = .integer(Int64(value.i32))
        case AMQP_FIELD_KIND_U32.rawValue: self = .integer(Int64(value.u32))
        case AMQP_FIELD_KIND_I64.rawValue: self = .integer(value.i64)
        case AMQP_FIELD_KIND_U64.rawValue:
            self = Int64(exactly: value.u64).map { .integer($0) } ?? .string(String(value.u64))
        case AMQP_FIELD_KIND_F32.rawValue: self = .double(Double(value.f32))
        case AMQP_FIELD_KIND_F64.rawValue: self = .double(value.f64)
        case AMQP_FIELD_KIND_DECIMAL.rawValue:
            self = .decimal(scale: value.decimal.decimals, value: value.decimal.value)
        case AMQP_FIELD_KIND_UTF8.rawValue:
            let bytes = UnsafeRawBufferPointer(value.bytes)
            self = String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(Array(bytes))
        case AMQP_FIELD_KIND_BYTES.rawValue: self = .bytes(Array(UnsafeRawBufferPointer(value.bytes)))
        case AMQP_FIELD_KIND_TIMESTAMP.rawValue: self = .timestamp(value.u64)
        case AMQP_FIELD_KIND_ARRAY.rawValue:
            let array = value.array
            self =
                depth < Self.maximumDepth
                ? .array(
                    UnsafeBufferPointer(start: array.entries, count: Int(array.num_entries)).map {
                        FieldValue($0, depth: depth + 1)
                    })
                : .void
        case AMQP_FIELD_KIND_TABLE.rawValue:
            self = depth < Self.maximumDepth ? .table([String: FieldValue](value.table, depth: depth + 1)) : .void
        default: self = .void
        }
    }
}
