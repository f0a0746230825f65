// Publishes commands to Order Worker in each form that it takes, with Java's AMQP client; prints what comes of them.
//
// PUBLISHER_AMQP_URL and CONSUMER_AMQP_URL say where; each line of the output is a JSON object: a command with its
// outcome, or an event from order.events. Run it with
//
//     java -Dfile.encoding=UTF-8 -cp /usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar Client.java

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Date;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

public class Client {
    static final String SOURCE = "https://acme.example/java";
    static final String REPLY_TO = "amq.rabbitmq.reply-to";

    /** A command, independent of how it travels. */
    static class Command {
        final String id = newId();
        final OffsetDateTime time = OffsetDateTime.now();
        final String type;
        final String customer;
        final String data;

        /** @param members what the data has, besides the customer's id, as JSON */
        Command(String type, String customer, String members) {
            this.type = type;
            this.customer = customer;
            this.data = "{\"customerId\": \"" + customer + "\", " + members + "}";
        }

        static Command createCustomer(String customer) {
            return new Command("customer.create", customer, "\"companyName\": \"Müller & Søn “東京”\","
                + " \"administrativeResponsibility\": \"partnerAdministered\", \"address\": {\"line1\": \"1 Main St\","
                + " \"city\": \"Albany\", \"postalCode\": \"12207\", \"stateOrProvince\": \"NY\", \"country\": \"US\"}");
        }

        static Command order(String customer, String term) {
            return new Command("subscription.order", customer, String.format("\"subscriptions\": [{"
                + "\"subscriptionId\": \"%s\", \"product\": \"enterprise-pki\", \"term\": \"%s\", \"startDate\": \"%s\","
                + " \"inventory\": [{\"certificateType\": \"ov-ssl\", \"quantity\": 25}]}]",
                newId(), term, LocalDate.now().minusDays(10)));
        }

        /** The CloudEvent in the structured mode. */
        String event() {
            return String.format("{\"specversion\": \"1.0\", \"id\": \"%s\", \"source\": \"%s\", \"type\": \"%s\","
                + " \"time\": \"%s\", \"data\": %s}", id, SOURCE, type, time, data);
        }

        String body(String mode) {
            return mode.equals("structured") ? event() : data;
        }

        /** The properties in one of the modes plain, cloudEvents:, cloudEvents_ (binary) and structured. */
        BasicProperties.Builder properties(String mode) {
            Map<String, Object> headers = new HashMap<>();
            BasicProperties.Builder properties = new BasicProperties.Builder().headers(headers);
            Date moment = Date.from(time.toInstant());
            switch (mode) {
            case "plain":
                headers.put("attempt", 1);
                headers.put("shop", Map.of("till", 7L, "open", true));
                return properties.contentType("application/json").messageId(id).type(type).timestamp(moment)
                    .appId(SOURCE);
            case "structured":
                return properties.contentType("application/cloudevents+json");
            default:
                headers.put(mode + "specversion", "1.0");
                headers.put(mode + "id", id);
                headers.put(mode + "source", SOURCE);
                headers.put(mode + "type", type);
                headers.put(mode + "time", moment);
                return properties.contentType("application/json");
            }
        }
    }

    /** Sends one command at a time and waits for its outcome. */
    static class Publisher {
        private final Connection connection;
        private final Channel channel;
        private final String user;
        private final BlockingQueue<Delivery> outcomes = new LinkedBlockingQueue<>();
        private volatile String returned;

        Publisher(String url) throws Exception {
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(url);
            user = factory.getUsername();
            connection = factory.newConnection("java-publisher");
            channel = connection.createChannel();
            channel.confirmSelect();
            channel.addReturnListener(message -> returned = message.getReplyText());
            // The broker's direct reply-to: no queue has to be declared, and no right is needed.
            channel.basicConsume(REPLY_TO, true, (tag, outcome) -> outcomes.add(outcome), tag -> {});
        }

        void ask(Command command, String mode) throws Exception {
            String correlation = newId();
            BasicProperties properties = command.properties(mode).deliveryMode(2).userId(user).replyTo(REPLY_TO)
                .correlationId(correlation).build();
            byte[] body = command.body(mode).getBytes(StandardCharsets.UTF_8);
            channel.basicPublish("orders", command.customer, true, properties, body);
            channel.waitForConfirmsOrDie(30_000);
            if (returned != null) {
                throw new IllegalStateException("the command came back: " + returned);
            }
            Delivery outcome;
            do {
                outcome = next(outcomes);
            } while (!correlation.equals(outcome.getProperties().getCorrelationId()));
            System.out.printf("{\"mode\": \"%s\", \"command\": %s, \"outcome\": %s}%n",
                mode, command.event(), json(outcome));
        }
    }

    /** Collects all that is published to order.events from now on. */
    static class Listener {
        private final Connection connection;
        private final Channel channel;
        private final BlockingQueue<Delivery> events = new LinkedBlockingQueue<>();

        Listener(String url) throws Exception {
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(url);
            connection = factory.newConnection("java-consumer");
            channel = connection.createChannel();
            String queue = "events.java." + newId();
            channel.queueDeclare(queue, false, true, true, null);
            channel.queueBind(queue, "order.events", "#");
            channel.basicConsume(queue, false, (tag, event) -> events.add(event), tag -> {});
        }

        /** Prints events up to the first of this type about this customer. */
        void printUntil(String type, String customer) throws Exception {
            Delivery event;
            do {
                event = next(events);
                System.out.printf("{\"event\": %s}%n", json(event));
                channel.basicAck(event.getEnvelope().getDeliveryTag(), false);
            } while (!type.equals(event.getProperties().getType())
                || !customer.equals(event.getProperties().getHeaders().get("cloudEvents:subject").toString()));
        }
    }

    static Delivery next(BlockingQueue<Delivery> queue) throws Exception {
        Delivery delivery = queue.poll(30, TimeUnit.SECONDS);
        if (delivery == null) {
            throw new TimeoutException("nothing came within 30 s");
        }
        return delivery;
    }

    static String newId() {
        return UUID.randomUUID().toString();
    }

    /** What is printed of a message that came: texts that need no escapes, and the body, which is JSON. */
    static String json(Delivery delivery) {
        BasicProperties properties = delivery.getProperties();
        Map<String, Object> texts = new TreeMap<>(Map.of(
            "routingKey", delivery.getEnvelope().getRoutingKey(),
            "messageId", properties.getMessageId(),
            "type", properties.getType(),
            "appId", properties.getAppId(),
            "timestamp", properties.getTimestamp().toInstant()));
        if (properties.getCorrelationId() != null) {
            texts.put("correlationId", properties.getCorrelationId());
        }
        return String.format("{%s, \"headers\": {%s}, \"data\": %s}", members(texts), members(properties.getHeaders()),
            new String(delivery.getBody(), StandardCharsets.UTF_8));
    }

    static String members(Map<String, Object> texts) {
        return texts.entrySet().stream().map(text -> "\"" + text.getKey() + "\": \"" + text.getValue() + "\"")
            .collect(Collectors.joining(", "));
    }

    public static void main(String[] arguments) throws Exception {
        Listener listener = new Listener(System.getenv("CONSUMER_AMQP_URL"));
        Publisher publisher = new Publisher(System.getenv("PUBLISHER_AMQP_URL"));
        String customer = null;
        for (String mode : new String[] {"plain", "cloudEvents:", "cloudEvents_", "structured"}) {
            customer = newId();
            publisher.ask(Command.createCustomer(customer), mode);
            Command wanted = Command.order(customer, "P1Y");
            publisher.ask(wanted, mode);
            // The same again counts once and gets the same outcome.
            publisher.ask(wanted, mode);
            // No such term is sold.
            publisher.ask(Command.order(customer, "P9Y"), mode);
        }
        listener.printUntil("command.rejected", customer);
        publisher.connection.close();
        listener.connection.close();
    }
}
