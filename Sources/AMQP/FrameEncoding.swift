// From this module's methods and messages to librabbitmq's.

internal import CRabbitMQ

/// Memory for what librabbitmq reads while it encodes one frame. Emptied before the next.
final class EncodingArena {
    private let pool: UnsafeMutablePointer<amqp_pool_t>

    init() {
        pool = .allocate(capacity: 1)
        init_amqp_pool(pool, 16_384)
    }

    deinit {
        empty_amqp_pool(pool)
        pool.deallocate()
    }

    func empty() {
        recycle_amqp_pool(pool)
    }

    func bytes(_ text: String) -> amqp_bytes_t {
        var text = text
        return text.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
    }

    func bytes(_ source: UnsafeRawBufferPointer) -> amqp_bytes_t {
        guard source.count > 0, let memory = amqp_pool_alloc(pool, source.count), let start = source.baseAddress else {
            return amqp_empty_bytes
        }
        memory.copyMemory(from: start, byteCount: source.count)
        return amqp_bytes_t(len: source.count, bytes: memory)
    }

    func table(_ table: [String: FieldValue]) -> amqp_table_t {
        guard let entries = allocate(amqp_table_entry_t.self, count: table.count) else { return amqp_empty_table }
        for (index, (key, value)) in table.enumerated() {
            (entries + index).initialize(to: amqp_table_entry_t(key: bytes(key), value: field(value)))
        }
        return amqp_table_t(num_entries: Int32(table.count), entries: entries)
    }

    private func allocate<Element>(_ type: Element.Type, count: Int) -> UnsafeMutablePointer<Element>? {
        if count == 0 { return nil }
        return amqp_pool_alloc(pool, count * MemoryLayout<Element>.stride)?.bindMemory(to: type, capacity: count)
    }

    private func field(_ value: FieldValue) -> amqp_field_value_t {
        var field = amqp_field_value_t()
        func set(_ kind: amqp_field_value_kind_t) { field.kind = UInt8(kind.rawValue) }
        switch value {
        case .bool(let value):
            set(AMQP_FIELD_KIND_BOOLEAN)
            field.value.boolean = value ? 1 : 0
        case .integer(let value):
            set(AMQP_FIELD_KIND_I64)
            field.value.i64 = value
        case .double(let value):
            set(AMQP_FIELD_KIND_F64)
            field.value.f64 = value
        case .string(let text):
            set(AMQP_FIELD_KIND_UTF8)
            field.value.bytes = bytes(text)
        case .bytes(let value):
            set(AMQP_FIELD_KIND_BYTES)
            field.value.bytes = value.withUnsafeBytes { bytes($0) }
        case .timestamp(let seconds):
            set(AMQP_FIELD_KIND_TIMESTAMP)
            field.value.u64 = seconds
        case .decimal(let scale, let value):
            set(AMQP_FIELD_KIND_DECIMAL)
            field.value.decimal = amqp_decimal_t(decimals: scale, value: value)
        case .array(let values):
            set(AMQP_FIELD_KIND_ARRAY)
            let entries = allocate(amqp_field_value_t.self, count: values.count)
            for (index, element) in values.enumerated() {
                entries.map { ($0 + index).initialize(to: self.field(element)) }
            }
            field.value.array = amqp_array_t(num_entries: Int32(values.count), entries: entries)
        case .table(let nested):
            set(AMQP_FIELD_KIND_TABLE)
            field.value.table = table(nested)
        case .void:
            set(AMQP_FIELD_KIND_VOID)
        }
        return field
    }

    func properties(_ properties: MessageProperties) -> amqp_basic_properties_t {
        var result = amqp_basic_properties_t()
        var flags: Int32 = 0
        func set(_ text: String?, _ flag: Int32, _ field: inout amqp_bytes_t) {
            guard let text else { return }
            flags |= flag
            field = bytes(text)
        }
        set(properties.contentType, AMQP_BASIC_CONTENT_TYPE_FLAG, &result.content_type)
        set(properties.contentEncoding, AMQP_BASIC_CONTENT_ENCODING_FLAG, &result.content_encoding)
        set(properties.correlationID, AMQP_BASIC_CORRELATION_ID_FLAG, &result.correlation_id)
        set(properties.replyTo, AMQP_BASIC_REPLY_TO_FLAG, &result.reply_to)
        set(properties.expiration, AMQP_BASIC_EXPIRATION_FLAG, &result.expiration)
        set(properties.messageID, AMQP_BASIC_MESSAGE_ID_FLAG, &result.message_id)
        set(properties.type, AMQP_BASIC_TYPE_FLAG, &result.type)
        set(properties.userID, AMQP_BASIC_USER_ID_FLAG, &result.user_id)
        set(properties.appID, AMQP_BASIC_APP_ID_FLAG, &result.app_id)
        if !properties.headers.isEmpty {
            flags |= AMQP_BASIC_HEADERS_FLAG
            result.headers = table(properties.headers)
        }
        if let mode = properties.deliveryMode {
            flags |= AMQP_BASIC_DELIVERY_MODE_FLAG
            result.delivery_mode = mode.rawValue
        }
        if let priority = properties.priority {
            flags |= AMQP_BASIC_PRIORITY_FLAG
            result.priority = priority
        }
        if let timestamp = properties.timestamp {
            flags |= AMQP_BASIC_TIMESTAMP_FLAG
            result.timestamp = timestamp
        }
        result._flags = amqp_flags_t(bitPattern: flags)
        return result
    }
}

extension OutgoingMethod {
    /// Calls `send` with the channel, the method's number and its fields as librabbitmq wants them.
    func encoded(
        in arena: EncodingArena, send: (amqp_channel_t, amqp_method_number_t, UnsafeMutableRawPointer) -> Int32
    ) -> Int32 {
        func on<Fields>(_ channel: amqp_channel_t, _ id: amqp_method_number_t, _ fields: Fields) -> Int32 {
            var fields = fields
            return withUnsafeMutableBytes(of: &fields) { buffer in
                // Every method but the empty ones has fields; those have a placeholder.
                buffer.baseAddress.map { send(channel, id, $0) } ?? AMQP_STATUS_INVALID_PARAMETER.rawValue
            }
        }
        switch self {
        case .openChannel:
            return on(1, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t(out_of_band: amqp_empty_bytes))
        case .closeChannelAcknowledged:
            return on(1, AMQP_CHANNEL_CLOSE_OK_METHOD, amqp_channel_close_ok_t())
        case .closeConnection:
            return on(
                0, AMQP_CONNECTION_CLOSE_METHOD,
                amqp_connection_close_t(reply_code: 200, reply_text: arena.bytes("done"), class_id: 0, method_id: 0))
        case .closeConnectionAcknowledged:
            return on(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t())
        case .selectConfirms:
            return on(1, AMQP_CONFIRM_SELECT_METHOD, amqp_confirm_select_t(nowait: 0))
        case .setPrefetch(let count):
            return on(1, AMQP_BASIC_QOS_METHOD, amqp_basic_qos_t(prefetch_size: 0, prefetch_count: count, global: 0))
        case .consume(let queue, let consumerTag, let isExclusive, let arguments):
            return on(
                1, AMQP_BASIC_CONSUME_METHOD,
                amqp_basic_consume_t(
                    ticket: 0, queue: arena.bytes(queue), consumer_tag: arena.bytes(consumerTag), no_local: 0,
                    no_ack: 0, exclusive: isExclusive ? 1 : 0, nowait: 0, arguments: arena.table(arguments)))
        case .consumeReplies(let consumerTag):
            // RabbitMQ: this queue must be consumed without acknowledgements.
            return on(
                1, AMQP_BASIC_CONSUME_METHOD,
                amqp_basic_consume_t(
                    ticket: 0, queue: arena.bytes(CallerConnection.replyQueue), consumer_tag: arena.bytes(consumerTag),
                    no_local: 0, no_ack: 1, exclusive: 0, nowait: 0, arguments: arena.table([:])))
        case .cancel(let consumerTag):
            return on(
                1, AMQP_BASIC_CANCEL_METHOD,
                amqp_basic_cancel_t(consumer_tag: arena.bytes(consumerTag), nowait: 0))
        case .acknowledge(let tag, let multiple):
            return on(1, AMQP_BASIC_ACK_METHOD, amqp_basic_ack_t(delivery_tag: tag, multiple: multiple ? 1 : 0))
        case .reject(let tag, let requeue):
            return on(1, AMQP_BASIC_REJECT_METHOD, amqp_basic_reject_t(delivery_tag: tag, requeue: requeue ? 1 : 0))
        case .get(let queue):
            return on(1, AMQP_BASIC_GET_METHOD, amqp_basic_get_t(ticket: 0, queue: arena.bytes(queue), no_ack: 0))
        case .declareExchange(let exchange):
            return on(
                1, AMQP_EXCHANGE_DECLARE_METHOD,
                amqp_exchange_declare_t(
                    ticket: 0, exchange: arena.bytes(exchange.name), type: arena.bytes(exchange.type),
                    passive: exchange.isPassive ? 1 : 0, durable: exchange.isDurable ? 1 : 0,
                    auto_delete: exchange.isAutoDeleted ? 1 : 0, internal: 0, nowait: 0,
                    arguments: arena.table(exchange.arguments)))
        case .deleteExchange(let name, let ifUnused):
            return on(
                1, AMQP_EXCHANGE_DELETE_METHOD,
                amqp_exchange_delete_t(
                    ticket: 0, exchange: arena.bytes(name), if_unused: ifUnused ? 1 : 0, nowait: 0))
        case .bindExchange(let binding):
            return on(
                1, AMQP_EXCHANGE_BIND_METHOD,
                amqp_exchange_bind_t(
                    ticket: 0, destination: arena.bytes(binding.destination), source: arena.bytes(binding.source),
                    routing_key: arena.bytes(binding.routingKey), nowait: 0,
                    arguments: arena.table(binding.arguments)))
        case .unbindExchange(let binding):
            return on(
                1, AMQP_EXCHANGE_UNBIND_METHOD,
                amqp_exchange_unbind_t(
                    ticket: 0, destination: arena.bytes(binding.destination), source: arena.bytes(binding.source),
                    routing_key: arena.bytes(binding.routingKey), nowait: 0,
                    arguments: arena.table(binding.arguments)))
        case .declareQueue(let queue):
            return on(
                1, AMQP_QUEUE_DECLARE_METHOD,
                amqp_queue_declare_t(
                    ticket: 0, queue: arena.bytes(queue.name), passive: queue.isPassive ? 1 : 0,
                    durable: queue.isDurable ? 1 : 0, exclusive: queue.isExclusive ? 1 : 0,
                    auto_delete: queue.isAutoDeleted ? 1 : 0, nowait: 0, arguments: arena.table(queue.arguments)))
        case .bindQueue(let binding):
            return on(
                1, AMQP_QUEUE_BIND_METHOD,
                amqp_queue_bind_t(
                    ticket: 0, queue: arena.bytes(binding.queue), exchange: arena.bytes(binding.exchange),
                    routing_key: arena.bytes(binding.routingKey), nowait: 0,
                    arguments: arena.table(binding.arguments)))
        case .unbindQueue(let binding):
            return on(
                1, AMQP_QUEUE_UNBIND_METHOD,
                amqp_queue_unbind_t(
                    ticket: 0, queue: arena.bytes(binding.queue), exchange: arena.bytes(binding.exchange),
                    routing_key: arena.bytes(binding.routingKey), arguments: arena.table(binding.arguments)))
        case .purgeQueue(let name):
            return on(1, AMQP_QUEUE_PURGE_METHOD, amqp_queue_purge_t(ticket: 0, queue: arena.bytes(name), nowait: 0))
        case .deleteQueue(let name, let ifUnused, let ifEmpty):
            return on(
                1, AMQP_QUEUE_DELETE_METHOD,
                amqp_queue_delete_t(
                    ticket: 0, queue: arena.bytes(name), if_unused: ifUnused ? 1 : 0, if_empty: ifEmpty ? 1 : 0,
                    nowait: 0))
        }
    }
}
