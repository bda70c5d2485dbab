package resp

import "context"

func subscriptionCommands() []*command {
	return []*command{
		{name: "publish", arity: 3, run: publish, writes: true, hears: firstChannel,
			usage: "channel message", summary: "For Sentinels that say hello; nothing comes of it."},
		{name: "psubscribe", arity: -2, run: subscribe(byPattern), always: true, hears: allPatterns,
			usage: "pattern [pattern ...]", summary: "Be told of events whose names match."},
		{name: "punsubscribe", arity: -1, run: unsubscribe(byPattern), always: true,
			usage: "[pattern [pattern ...]]", summary: "End subscriptions to patterns."},
		{name: "subscribe", arity: -2, run: subscribe(byName), always: true, hears: allChannels,
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

// helloChannel is where Sentinels tell each other of themselves, and of the masters that they know.
const helloChannel = "__sentinel__:hello"

// publish takes what Sentinels say to each other, and believes none of it: nobody has proved who says it.
func publish(_ context.Context, c *client, args []string) {
	if args[1] != helloChannel {
		c.reply.error("ERR Only HELLO messages are accepted by Sentinel instances.")
		return
	}
	c.reply.integer(1)
}
