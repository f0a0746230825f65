// Publishes commands to Order Worker in each form that it takes, with Go's AMQP client; prints what comes of them.
//
// PUBLISHER_AMQP_URL and CONSUMER_AMQP_URL say where; each line of the output is a JSON object: a command with its
// outcome, or an event from order.events.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const source = "https://acme.example/go"

type object = map[string]interface{}

// event is a CloudEvent in the structured mode; its data is a command's.
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	Data        object    `json:"data"`
}

// message is what is printed of a message that came.
type message struct {
	CorrelationID string          `json:"correlationId"`
	RoutingKey    string          `json:"routingKey"`
	MessageID     string          `json:"messageId"`
	Type          string          `json:"type"`
	AppID         string          `json:"appId"`
	Timestamp     time.Time       `json:"timestamp"`
	Headers       amqp.Table      `json:"headers"`
	Data          json.RawMessage `json:"data"`
}

func command(name, customer string, data object) event {
	data["customerId"] = customer
	return event{"1.0", newID(), source, name, time.Now(), data}
}

func createCustomer(customer string) event {
	return command("customer.create", customer, object{
		"companyName":                  "Müller & Søn “東京”",
		"administrativeResponsibility": "partnerAdministered",
		"address": object{
			"line1": "1 Main St", "city": "Albany", "postalCode": "12207", "stateOrProvince": "NY", "country": "US",
		},
	})
}

func order(customer, term string) event {
	return command("subscription.order", customer, object{"subscriptions": []object{{
		"subscriptionId": newID(),
		"product":        "enterprise-pki",
		"term":           term,
		"startDate":      time.Now().AddDate(0, 0, -10).Format("2006-01-02"),
		"inventory":      []object{{"certificateType": "ov-ssl", "quantity": 25}},
	}}})
}

// publishing writes a command in one of the modes plain, cloudEvents:, cloudEvents_ (binary, by the prefix of the
// headers) and structured.
func publishing(command event, mode string) amqp.Publishing {
	data, err := json.Marshal(command.Data)
	check(err)
	switch mode {
	case "plain":
		return amqp.Publishing{
			ContentType: "application/json",
			MessageId:   command.ID,
			Type:        command.Type,
			Timestamp:   command.Time,
			AppId:       command.Source,
			Headers:     amqp.Table{"attempt": 1, "sampled": true, "shop": amqp.Table{"till": int64(7)}},
			Body:        data,
		}
	case "structured":
		body, err := json.Marshal(command)
		check(err)
		return amqp.Publishing{ContentType: "application/cloudevents+json", Body: body}
	default:
		return amqp.Publishing{
			ContentType: "application/json",
			Headers: amqp.Table{
				mode + "specversion": command.SpecVersion,
				mode + "id":          command.ID,
				mode + "source":      command.Source,
				mode + "type":        command.Type,
				mode + "time":        command.Time,
			},
			Body: data,
		}
	}
}

// publisher sends one command at a time and waits for its outcome.
type publisher struct {
	channel  *amqp.Channel
	user     string
	returned chan amqp.Return
	outcomes <-chan amqp.Delivery
}

func newPublisher(url string) *publisher {
	uri, err := amqp.ParseURI(url)
	check(err)
	channel := open(url)
	check(channel.Confirm(false))
	// The broker's direct reply-to: no queue has to be declared, and no right is needed.
	outcomes, err := channel.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	check(err)
	return &publisher{channel, uri.Username, channel.NotifyReturn(make(chan amqp.Return, 1)), outcomes}
}

func (p *publisher) ask(ctx context.Context, command event, mode string) {
	publishing := publishing(command, mode)
	publishing.DeliveryMode = amqp.Persistent
	publishing.UserId = p.user
	publishing.ReplyTo = "amq.rabbitmq.reply-to"
	publishing.CorrelationId = newID()
	customer := command.Data["customerId"].(string)
	confirmation, err := p.channel.PublishWithDeferredConfirmWithContext(ctx, "orders", customer, true, false, publishing)
	check(err)
	if !confirmation.Wait() {
		check(errors.New("the broker did not take the command"))
	}
	for {
		select {
		case returned := <-p.returned:
			check(fmt.Errorf("the command came back: %s", returned.ReplyText))
		case outcome, open := <-p.outcomes:
			if !open {
				check(errors.New("the connection is lost"))
			}
			if outcome.CorrelationId == publishing.CorrelationId {
				print(object{"mode": mode, "command": command, "outcome": read(outcome)})
				return
			}
		case <-ctx.Done():
			check(ctx.Err())
		}
	}
}

// listen gives all that is published to order.events from now on.
func listen(url string) <-chan amqp.Delivery {
	channel := open(url)
	queue, err := channel.QueueDeclare("events.go."+newID(), false, true, true, false, nil)
	check(err)
	check(channel.QueueBind(queue.Name, "#", "order.events", false, nil))
	events, err := channel.Consume(queue.Name, "", false, true, false, false, nil)
	check(err)
	return events
}

func open(url string) *amqp.Channel {
	connection, err := amqp.Dial(url)
	check(err)
	channel, err := connection.Channel()
	check(err)
	return channel
}

func read(delivery amqp.Delivery) message {
	return message{
		delivery.CorrelationId, delivery.RoutingKey, delivery.MessageId, delivery.Type, delivery.AppId,
		delivery.Timestamp, delivery.Headers, delivery.Body,
	}
}

func print(line object) {
	check(json.NewEncoder(os.Stdout).Encode(line))
}

// newID makes a random UUID.
func newID() string {
	id := make([]byte, 16)
	_, err := rand.Read(id)
	check(err)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events := listen(os.Getenv("CONSUMER_AMQP_URL"))
	publisher := newPublisher(os.Getenv("PUBLISHER_AMQP_URL"))
	customer := ""
	for _, mode := range []string{"plain", "cloudEvents:", "cloudEvents_", "structured"} {
		customer = newID()
		publisher.ask(ctx, createCustomer(customer), mode)
		wanted := order(customer, "P1Y")
		publisher.ask(ctx, wanted, mode)
		// The same again counts once and gets the same outcome.
		publisher.ask(ctx, wanted, mode)
		// No such term is sold.
		publisher.ask(ctx, order(customer, "P9Y"), mode)
	}
	// The last customer's events, up to that of its last command.
	for {
		select {
		case delivery, open := <-events:
			if !open {
				check(errors.New("the connection is lost"))
			}
			print(object{"event": read(delivery)})
			check(delivery.Ack(false))
			if delivery.Headers["cloudEvents:subject"] == customer && delivery.Type == "command.rejected" {
				return
			}
		case <-ctx.Done():
			check(ctx.Err())
		}
	}
}
