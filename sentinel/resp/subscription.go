package resp

import "context"

func subscriptionCommands() []*command {
	return []*command{
		{name: "psubscribe", arity: -2, run: subscribe(byPattern), always: true,
			usage: "pattern [pattern ...]", summary: "Be told of events whose names match."},
		{name: "punsubscribe", arity: -1, run: unsubscribe(byPattern), always: true,
			usage: "[pattern [pattern ...]]", summary: "End subscriptions to patterns."},
		{name: "subscribe", arity: -2, run: subscribe(byName), always: true,
			usage: "channel [channel ...]", summary: "Be told of events."},
		{name: "unsubscribe", arity: -1, run: unsubscribe(byName), always: true,
			usage: "[channel [channel ...]]", summary: "End subscriptions."},
	}
}

func subscribe(k kind) func(context.Context, *client, []string) {
	return func(_ context.Context, c *client, args []string) {
		if !c.server.hub.subscribe(c, k, args[1:]) {
			c.reply.error("ERR too many subscriptions on this connection; subscribe to a pattern")
		}
	}
}

func unsubscribe(k kind) func(context.Context, *client, []string) {
	return func(_ context.Context, c *client, args []string) { c.server.hub.unsubscribe(c, k, args[1:]) }
}
