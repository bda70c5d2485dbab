package resp

import (
	"context"
	"strings"
)

// muting is whether a client is answered. Events, and what confirms a subscription, always are sent.
type muting uint8

const (
	answered muting = iota
	skipNext        // the next command is not
	skipThis
	muted
)

// next is how the next command is answered, if this one was no CLIENT REPLY.
func (m muting) next() muting {
	switch m {
	case skipNext:
		return skipThis
	case skipThis:
		return answered
	}
	return m
}

func muteReplies(_ context.Context, c *client, args []string) {
	switch strings.ToLower(args[2]) {
	case "on":
		c.muting = answered
		c.reply.ok()
	case "off":
		c.muting = muted
	case "skip":
		if c.muting != muted {
			c.muting = skipNext
		}
	default:
		c.reply.error(syntaxError)
	}
}
